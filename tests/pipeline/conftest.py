"""What the pipeline's test needs around it: a registry, two environments of one host each, a repository, and GitHub."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.pipeline.github import PROJECT, ROOT, SLIPWAY, GitHub, Repository, run

IMAGE = f"slipway-app-{PROJECT}:pipeline"

REGISTRY = """
version: 0.1
storage: {filesystem: {rootdirectory: FOLDER}}
http: {addr: 127.0.0.1:PORT}
"""
VARIABLES: dict[str, Any] = {
    "nginx_server_names": ["localhost", "127.0.0.1"],
    "nginx_tls": "none",  # init writes acme: its example names are public ones
    "host_admin": "admin",
    "release_watch_seconds": 4,
}
SHOP = {
    "pyproject.toml": """\
[project]
name = "shop"
version = "1.0.0"
requires-python = ">=3.11"
dependencies = ["fastapi", "uvicorn"]

[dependency-groups]
dev = ["httpx", "pytest"]
""",
    "shop/__init__.py": "",
    "shop/main.py": """\
import os

from fastapi import FastAPI

app = FastAPI()


@app.get("/")
def read_root() -> dict[str, str]:
    return {"greeting": "hello"}


@app.get("/healthz")
def healthz() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/version")
def version() -> dict[str, str | None]:
    return {name: os.environ.get(f"SLIPWAY_{name.upper()}") for name in ("release", "commit")}
""",
    "tests/test_shop.py": """\
from fastapi.testclient import TestClient

from shop.main import app


def test_it_greets() -> None:
    assert TestClient(app).get("/").json() == {"greeting": "hello"}
""",
    ".gitignore": ".venv/\n__pycache__/\n",
}
"""An app of somebody who has never seen Slipway."""


@dataclass
class Environment:
    """A host, and how it is reached."""

    name: str
    port: int
    url: str
    known_hosts: str
    ssh_config: Path

    @property
    def host(self) -> str:
        """The host's name, here and in the inventory."""
        return f"pipeline-{self.name}"

    def status(self) -> dict[str, Any]:
        """What the host says of itself."""
        said = run("ssh", "-F", self.ssh_config, f"deploy@{self.host}", "slipway status --json")
        status: dict[str, Any] = json.loads(said)
        return status

    def version(self) -> dict[str, Any]:
        """The app's version, requested as by a client."""
        version: dict[str, Any] = json.loads(run("curl", "--silent", "--show-error", "--fail", f"{self.url}/version"))
        return version


def start_host(name: str) -> Environment:
    """A new host for an environment."""
    host, folder = f"pipeline-{name}", ROOT / ".cache/hosts" / f"pipeline-{name}"
    run(ROOT / "tools/host", "down", host)
    run(ROOT / "tools/host", "up", host)
    inventory = json.loads((folder / "inventory.yml").read_text().partition("\n")[2])
    variables = inventory["app"]["hosts"][host]
    known_hosts = (folder / "known_hosts").read_text()
    return Environment(name, variables["ansible_port"], variables["test_url"], known_hosts, folder / "ssh_config")


@pytest.fixture(scope="session")
def environments() -> Iterator[dict[str, Environment]]:
    """Hosts for staging and for production, bare."""
    names = ("staging", "production")
    try:
        with ThreadPoolExecutor() as pool:
            yield dict(zip(names, pool.map(start_host, names), strict=True))
    finally:
        run(ROOT / "tools/host", "down", *(f"pipeline-{name}" for name in names))


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An empty registry on the loopback; its address."""
    folder = tmp_path_factory.mktemp("registry")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = folder / "config.yml"
    config.write_text(REGISTRY.replace("FOLDER", str(folder / "data")).replace("PORT", str(port)))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(["docker-registry", "serve", str(config)], stdout=log, stderr=log)
    try:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None, (folder / "log").read_text()
            time.sleep(0.1)
        yield f"127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
        remove_images(f"127.0.0.1:{port}/*")


def remove_images(reference: str) -> None:
    """Remove images by name, since an id may be somebody else's image as well."""
    names = run("docker", "image", "ls", reference, "--format={{.Repository}}:{{.Tag}}").splitlines()
    if names:
        run("docker", "image", "rm", *names)


def provision(repository: Repository, environment: Environment, keys: Path) -> None:
    """As a person does before the first deploy: with the image of the commit that is there."""
    folder = ROOT / ".cache/hosts" / environment.host
    options = f"-o UserKnownHostsFile={folder}/known_hosts -o StrictHostKeyChecking=yes -o IdentitiesOnly=yes"
    variables = {
        "ansible_ssh_private_key_file": f"{folder}/id_ed25519",
        "ansible_ssh_common_args": f"{options} -o IdentityFile={keys / environment.name}",
        "release_image": IMAGE,
    }
    command = (ROOT / ".venv/bin/slipway", "provision", environment.name, "-v", "--", "-e", json.dumps(variables))
    run(*command, cwd=repository.folder)


@pytest.fixture(scope="session")
def slipway(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """Slipway's repository, as GitHub has it: this working tree."""
    return Repository.of_slipway(tmp_path_factory.mktemp("slipway") / "slipway", SLIPWAY)


@pytest.fixture(scope="session")
def repository(
    environments: dict[str, Environment], slipway: Repository, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Repository]:
    """An adopter's repository whose hosts are provisioned and serve its first commit.

    `slipway init` has written what deploys it. The keys are in its parent's folder `keys`.
    """
    folder = tmp_path_factory.mktemp("git")
    repository = Repository(folder / "shop", "example/shop")
    for name, text in SHOP.items():
        repository.write(name, text)
    run("uv", "lock", "--quiet", cwd=repository.folder)
    repository.commit("A shop")
    source = f"{SLIPWAY}@{slipway.head} # v1.0.0"
    print(run(ROOT / ".venv/bin/slipway", "init", "--yes", "--source", source, cwd=repository.folder))
    # act looks for what a called workflow calls in the caller's repository. This file is no commit's.
    repository.write(".git/info/exclude", ".github/workflows/ci.yml\n")
    (repository.folder / ".github/workflows/ci.yml").symlink_to(slipway.folder / ".github/workflows/ci.yml")
    keys = folder / "keys"
    keys.mkdir()
    for name, environment in environments.items():
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"ci-{name}", "-f", keys / name)
        host = {"ansible_host": "127.0.0.1", "ansible_port": environment.port}
        repository.write(f"deploy/{name}/hosts.yml", json.dumps({"app": {"hosts": {environment.host: host}}}) + "\n")
        # The second is a person's, on a laptop.
        public = [
            (keys / f"{name}.pub").read_text().strip(),
            (ROOT / f".cache/hosts/{environment.host}/deploy_ed25519.pub").read_text().strip(),
        ]
        written = repository.folder / f"deploy/{name}/group_vars/all.yml"
        variables = yaml.safe_load(written.read_text()) | VARIABLES | {"host_deploy_keys": public}
        written.write_text(yaml.safe_dump(variables))
    repository.commit("Our hosts")
    run(sys.executable, "-m", "slipway.controller.build", repository.folder, "--tag", IMAGE)
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda environment: provision(repository, environment, keys), environments.values()))
    yield repository
    remove_images(f"slipway-app-{PROJECT}")


@pytest.fixture(scope="session")
def github(
    repository: Repository,
    slipway: Repository,
    registry: str,
    environments: dict[str, Environment],
    tmp_path_factory: pytest.TempPathFactory,
) -> GitHub:
    """GitHub, set up as `slipway github` does where a plan has no environments."""
    # The jobs find what these have made.
    run(ROOT / "tools/bootstrap")
    short = os.environ.get("SLIPWAY_TESTS") == "not catalogue"
    run(ROOT / "tools/go-tool", "act", "cosign", *(() if short else ("syft",)))
    folder = tmp_path_factory.mktemp("github")
    subprocess.run(
        [ROOT / ".cache/bin/cosign", "generate-key-pair"],
        cwd=folder,
        env=os.environ | {"COSIGN_PASSWORD": "a password"},
        check=True,
        capture_output=True,
        stdin=subprocess.DEVNULL,
    )
    keys = repository.folder.parent / "keys"
    secrets = {"COSIGN_PRIVATE_KEY": (folder / "cosign.key").read_text(), "COSIGN_PASSWORD": "a password"}
    variables = {
        "COSIGN_PUBLIC_KEY": (folder / "cosign.pub").read_text(),
        "SLIPWAY_REGISTRY": f"{registry}/shop",
        # What Sigstore's public log holds stays there for ever, and cannot be reached from everywhere.
        "SLIPWAY_TRANSPARENCY_LOG": "none",
        # syft takes minutes to build.
        **({"SLIPWAY_SBOM": "none"} if short else {}),
        "SLIPWAY_PRODUCTION": "automatic",
    }
    for name, environment in environments.items():
        secrets[f"SLIPWAY_SSH_KEY_{name.upper()}"] = (keys / name).read_text()
        variables[f"SLIPWAY_KNOWN_HOSTS_{name.upper()}"] = environment.known_hosts
        variables[f"SLIPWAY_URL_{name.upper()}"] = environment.url
    return GitHub(repository, slipway, folder, secrets, variables)
