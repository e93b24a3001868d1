"""What the pipeline's test needs around it: a registry, two environments of one host each, a repository, and GitHub."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.github import ROOT, GitHub, Repository, run

REGISTRY = """
version: 0.1
storage: {filesystem: {rootdirectory: FOLDER}}
http: {addr: 127.0.0.1:PORT}
"""
VARIABLES = """
nginx_server_names: [localhost, 127.0.0.1]
host_admin: admin
app_memory_max: 512M
release_watch_seconds: 4
host_deploy_keys:
"""
OWN_TESTS = ("test_settings.py", "test_sizing.py")
IMAGE_TEST = """
from tests.image.conftest import docker


def test_its_user_is_not_root(image: str) -> None:
    assert docker("image", "inspect", "--format", "{{.Config.User}}", image) == "10001:10001"
"""


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
        """What the app says, asked as a client does."""
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
        # By name, since the id may be somebody else's image as well.
        names = run("docker", "image", "ls", f"127.0.0.1:{port}/*", "--format={{.Repository}}:{{.Tag}}").splitlines()
        if names:
            run("docker", "image", "rm", *names)


def provision(repository: Repository, environment: Environment, keys: Path) -> None:
    """As a person does before the first deploy: site.yml, with the image of the commit that is there."""
    folder = ROOT / ".cache/hosts" / environment.host
    options = f"-o UserKnownHostsFile={folder}/known_hosts -o StrictHostKeyChecking=yes -o IdentitiesOnly=yes"
    variables = {
        "ansible_ssh_private_key_file": f"{folder}/id_ed25519",
        "ansible_ssh_common_args": f"{options} -o IdentityFile={keys / environment.name}",
        "release_image": "slipway-app:pipeline",
    }
    command = [
        "ansible-playbook",
        "--inventory",
        f"inventories/{environment.name}",
        "-e",
        json.dumps(variables),
        "site.yml",
    ]
    run(ROOT / "tools/run", *command, cwd=repository.folder / "ansible")


@pytest.fixture(scope="session")
def repository(environments: dict[str, Environment], tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A repository whose hosts are provisioned and serve its first commit. The keys are in its parent's folder `keys`."""
    folder = tmp_path_factory.mktemp("git")
    repository = Repository(folder / "shortener")
    # An app with few tests: those of the example are run elsewhere, and CI runs three times here.
    for name in ("app", "server", "image"):
        for file in (repository.folder / "tests" / name).glob("test_*.py"):
            if file.name not in OWN_TESTS:
                file.unlink()
    repository.write("tests/image/test_image.py", IMAGE_TEST)
    keys = folder / "keys"
    keys.mkdir()
    for name, environment in environments.items():
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"ci-{name}", "-f", keys / name)
        host = {"ansible_host": "127.0.0.1", "ansible_port": environment.port}
        inventory = f"ansible/inventories/{name}"
        repository.write(f"{inventory}/hosts.yml", json.dumps({"app": {"hosts": {environment.host: host}}}) + "\n")
        # The second is a person's, on a laptop.
        public = [
            (keys / f"{name}.pub").read_text(),
            (ROOT / f".cache/hosts/{environment.host}/deploy_ed25519.pub").read_text(),
        ]
        repository.write(f"{inventory}/group_vars/all.yml", VARIABLES + "".join(f"  - {key}" for key in public))
    repository.commit("Our hosts")
    run(repository.folder / "tools/image", "build", "--tag", "slipway-app:pipeline")
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda environment: provision(repository, environment, keys), environments.values()))
    return repository


@pytest.fixture(scope="session")
def github(
    repository: Repository,
    registry: str,
    environments: dict[str, Environment],
    tmp_path_factory: pytest.TempPathFactory,
) -> GitHub:
    """GitHub, set up as `make github` does where a plan has no environments."""
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
        "SLIPWAY_REGISTRY": f"{registry}/shortener",
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
    return GitHub(repository, folder, secrets, variables)
