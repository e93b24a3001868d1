"""A site of somebody's on the VM, deployed by the commands that the README names."""

import http.client
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.vm.machine import CONNECT_SECONDS, Machine

NAME = "shop.example.com"
INHERITED = ("SLIPWAY_CHECKOUT", "VIRTUAL_ENV", "PYTHONPATH")
"""Of this checkout."""
FILES = {
    "main.py": '''"""An app with a leak."""

import os
from threading import Thread
from time import sleep

from fastapi import FastAPI

app = FastAPI()
kept = []


@app.get("/")
def read_root() -> dict[str, str]:
    if os.environ.get("LEAKS") and not kept:
        leak()
    return {"greeting": "hello", "release": os.environ["SLIPWAY_RELEASE"]}


@app.post("/leak")
def leak() -> None:
    """Keep twenty megabytes more every tenth of a second: even emulated, the limit is reached within a deploy's watch."""
    Thread(target=keep, daemon=True).start()


def keep() -> None:
    while True:
        kept.append(b"x" * (20 * 1024 * 1024))
        sleep(0.1)
''',
    "blob": "",
    "requirements.txt": "fastapi\nuvicorn\n",
    "Procfile": "web: uvicorn main:app --host 0.0.0.0 --port 8000\nrelease: sleep ${MIGRATION_SECONDS:-0}\n"
    "beat: exec sleep infinity\n",
    # From Debian alone: it needs no registry and no index of packages.
    "Dockerfile": """FROM debian:trixie-slim
RUN apt-get update && apt-get install -y --no-install-recommends python3-fastapi uvicorn && rm -rf /var/lib/apt/lists/*
WORKDIR /srv/shop
COPY main.py Procfile blob ./
EXPOSE 8000
CMD ["uvicorn", "main:app", "--host", "0.0.0.0"]
""",
}


@dataclass(frozen=True)
class Site:
    """The app's repository, and the VM that its environment `production` is about."""

    repository: Path
    machine: Machine

    @classmethod
    def begin(cls, repository: Path, machine: Machine) -> "Site":
        """Write an app, and do what the README says up to `provision`: `slipway init`, and the host's values."""
        site = cls(repository, machine)
        for name, text in FILES.items():
            (repository / name).write_text(text)
        site.slipway("init", "--yes")
        inventory = json.loads((machine.folder / "inventory.yml").read_text().partition("\n")[2])
        reached = inventory["app"]["hosts"][machine.folder.name] | {"ansible_timeout": CONNECT_SECONDS}
        variables = {
            "nginx_server_names": [NAME],
            "nginx_tls": "none",
            "host_admin": "admin",
            "host_deploy_keys": reached.pop("host_deploy_keys"),
            "app_memory_max": "256M",
            "app_ready_path": "/",
            "app_processes": [{"name": "beat", "single": True, "connections": 0}],
            # One core, emulated.
            "release_start_timeout": 300,
        }
        (site.folder / "hosts.yml").write_text(yaml.safe_dump({"app": {"hosts": {"vm": reached}}}))
        site.set(**variables)
        identity = ("-c", "user.name=t", "-c", "user.email=t@example.com")
        origin = "git@github.com:acme/shop.git"
        for command in (
            ["init", "-q"],
            ["remote", "add", "origin", origin],
            ["add", "-A"],
            ["commit", "-qm", "A shop"],
        ):
            subprocess.run(["git", "-C", str(repository), *identity, *command], check=True, stdin=subprocess.DEVNULL)
        return site

    @property
    def url(self) -> str:
        """Where clients outside reach it."""
        return f"http://127.0.0.1:{self.machine.ports[80]}"

    @property
    def folder(self) -> Path:
        """The folder of its environment."""
        return self.repository / "deploy/production"

    def set(self, **variables: Any) -> None:
        """Change variables, as a person does in group_vars/all.yml."""
        file = self.folder / "group_vars/all.yml"
        file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | variables))

    def setting(self, **settings: str) -> None:
        """Write the app's settings: what changes them is a new release."""
        (self.folder / "settings.env").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))

    def slipway(self, *arguments: str) -> str:
        """Run a command of the tool in the repository. Returns what it printed; its failure is the test's."""
        done = self.begin_slipway(*arguments)
        printed, _ = done.communicate()
        assert done.returncode == 0, f"slipway {' '.join(arguments)}\n{printed[-6000:]}"
        return printed

    def deploy(self, **settings: str) -> None:
        """Deploy a new release: one with these settings, and another one each time."""
        self.setting(SERIAL=str(time.time_ns()), **settings)
        self.slipway("deploy", "production")

    def begin_slipway(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command of the tool in the repository."""
        clean = {name: value for name, value in os.environ.items() if name not in INHERITED}
        return subprocess.Popen(
            [str(Path(sys.executable).parent / "slipway"), *arguments],
            cwd=self.repository,
            env=clean,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def status(self) -> dict[str, Any]:
        """Return what `slipway status --json` prints on the VM."""
        done = self.machine.attempt("slipway status --json", user="deploy")
        assert done.returncode == 0, done.stdout + done.stderr
        status: dict[str, Any] = json.loads(done.stdout)
        return status

    def ask(self, path: str = "/", method: str = "GET", seconds: float = 60) -> tuple[int, bytes]:
        """Send a request from outside. Returns the status and the body.

        Raises:
            OSError: there is no answer.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.machine.ports[80], timeout=seconds)
        try:
            connection.request(method, path, headers={"Host": NAME})
            answer = connection.getresponse()
            return answer.status, answer.read()
        except http.client.HTTPException as error:
            raise OSError(f"no answer: {error!r}") from error
        finally:
            connection.close()

    def serving(self) -> str | None:
        """Return the release that answers from outside, None if none does."""
        try:
            status, body = self.ask(seconds=20)
        except OSError:
            return None
        return str(json.loads(body)["release"]) if status == 200 else None
