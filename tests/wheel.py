"""Slipway as other people have it: a wheel, installed into an environment of its own, with the locked versions."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tools.checkout import ROOT

INHERITED = ("SLIPWAY_CHECKOUT", "VIRTUAL_ENV", "PYTHONPATH", "MAKEFLAGS", "MAKELEVEL")
"""Of this checkout, and of the `make` that runs this test."""


@dataclass(frozen=True)
class Installed:
    """The tool, and the folder of a user who has nothing else of Slipway's."""

    environment: Path
    home: Path

    def slipway(self, *arguments: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run the command `slipway` in a folder."""
        return self.run(str(self.environment / "bin/slipway"), *arguments, cwd=cwd, **variables)

    def run(self, *command: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a program as that user, who has no other Python on the PATH than the system's."""
        kept = {name: value for name, value in os.environ.items() if name not in INHERITED}
        path = os.pathsep.join(part for part in kept["PATH"].split(os.pathsep) if not part.startswith(str(ROOT)))
        user = {"PATH": path, "XDG_CACHE_HOME": str(self.home / "cache"), "COLUMNS": "200", "TERM": "dumb"}
        return subprocess.run(
            command,
            cwd=cwd,
            env=kept | user | variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )


def install(folder: Path) -> Installed:
    """Build the wheel by way of the source distribution, and install it with what its lock says."""
    uv(folder, "build", "--quiet", "--out-dir", str(folder / "dist"), str(ROOT))
    exported = ("export", "--quiet", "--locked", "--no-dev", "--no-emit-project", "--output-file")
    uv(ROOT, *exported, str(folder / "requirements.txt"))
    environment = folder / "environment"
    uv(folder, "venv", "--quiet", "--python", sys.executable, str(environment))
    into = ("pip", "install", "--quiet", "--python", str(environment / "bin/python"))
    uv(folder, *into, "--require-hashes", "--requirements", "requirements.txt")
    (wheel,) = (folder / "dist").glob("*.whl")
    uv(folder, *into, "--no-deps", str(wheel))
    return Installed(environment, folder)


def uv(folder: Path, *arguments: str) -> None:
    """Run uv; its failure is the test's."""
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    done = subprocess.run(["uv", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"uv {' '.join(arguments)}\n{done.stderr}"


MAIN = '''"""An app of somebody who has never seen Slipway."""

from fastapi import FastAPI

app = FastAPI()


@app.get("/")
def read_root() -> dict[str, str]:
    return {"greeting": "hello"}
'''

# From Debian alone: it needs no registry and no index of packages.
DOCKERFILE = """FROM debian:trixie-slim
RUN apt-get update && apt-get install -y --no-install-recommends python3-fastapi uvicorn && rm -rf /var/lib/apt/lists/*
WORKDIR /srv/shop
COPY main.py .
EXPOSE 8000
CMD ["uvicorn", "main:app", "--host", "0.0.0.0"]
"""

SHADOW = 'raise SystemExit("a module of the project is imported in place of the tool\'s own")\n'

HOSTS = "app:\n  hosts:\n    www1:\n      ansible_host: 203.0.113.7\n"
VARIABLES = """nginx_server_names: [shop.example.com]
host_deploy_keys: [ssh-ed25519 AAAA me]
app_ready_path: /
app_version_path: ""
"""


def write_shop(folder: Path) -> Path:
    """Write the app's repository: a module, a Dockerfile, and the inventory of its production."""
    files = {
        "main.py": MAIN,
        "Dockerfile": DOCKERFILE,
        "json.py": SHADOW,
        "slipway/__init__.py": SHADOW,
        "deploy/production/hosts.yml": HOSTS,
        "deploy/production/group_vars/all.yml": VARIABLES,
        "deploy/production/settings.env": "GREETING=hello\n",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder
