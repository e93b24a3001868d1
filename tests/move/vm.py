"""A VM of somebody with the example app, and the commands of the page as that person types them."""

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from labs.command import progress
from tests.machine import Machine

ADDRESS = "203.0.113.7"
"""The VM's, as the page has it."""
NAME = "www1"
VARIABLES = {"host_admin": "admin", "nginx_server_names": ["localhost", "127.0.0.1"], "hardening_updates": False}


@dataclass(frozen=True)
class Vm:
    """The project, and the host of its production."""

    folder: Path
    host: Machine

    def make(self, image: str) -> None:
        """Start the host, and write the project that deploys an image to it, without a database of its own."""
        self.host.up("app")
        self.write("group_vars/all.yml", VARIABLES | {"release_image": image, "host_deploy_keys": self._keys()})
        self.write("hosts.yml", {"app": {"hosts": {NAME: self._connection()}}})
        (self.folder / "deploy/production/settings.env").touch()
        self._make_ssh()

    def write(self, name: str, values: dict[str, Any]) -> None:
        """Put values into a file of the production, beside those that it has; None removes one."""
        file = self.folder / "deploy/production" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        known = yaml.safe_load(file.read_text()) if file.exists() else {}
        file.write_text(yaml.safe_dump({key: value for key, value in (known | values).items() if value is not None}))

    def run(self, script: str) -> subprocess.CompletedProcess[str]:
        """Run commands of the page, until one fails, in the project's folder."""
        began = time.monotonic()
        done = subprocess.run(
            ["bash", "-euxo", "pipefail", "-c", script],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        progress("move", f"{script.splitlines()[-1][:60]}: {done.returncode} after {time.monotonic() - began:.1f} s")
        return done

    def type(self, script: str) -> str:
        """Run commands that must succeed. Returns what they printed."""
        done = self.run(script)
        assert done.returncode == 0, f"{script}\n{done.stdout[-6000:]}\n{done.stderr[-3000:]}"
        return done.stdout + done.stderr

    def fails(self, script: str) -> str:
        """Run commands of which one must fail. Returns what they printed."""
        done = self.run(script)
        assert done.returncode != 0, done.stdout
        return done.stdout + done.stderr

    def query(self, sql: str) -> str:
        """Ask the VM's PostgreSQL. Returns the rows."""
        return self.host.shell(f'cd / && runuser -u postgres -- psql --no-psqlrc -qAtd app -c "{sql}"')

    @property
    def url(self) -> str:
        """Where it serves."""
        return self.host.hosts.url(NAME)

    @property
    def environment(self) -> dict[str, str]:
        """Return the variables of a shell in which the page's address leads to the host."""
        programs = f"{self.folder / 'bin'}:{Path(sys.executable).parent}"
        kept = {name: value for name, value in os.environ.items() if name != "SLIPWAY_CHECKOUT"}
        return kept | {"PATH": f"{programs}:{os.environ['PATH']}", "TERM": "dumb"}

    def _described(self) -> dict[str, Any]:
        inventory = yaml.safe_load((self.host.hosts.folder / NAME / "inventory.yml").read_text())
        values: dict[str, Any] = inventory["app"]["hosts"][NAME]
        return values

    def _keys(self) -> list[str]:
        return list(self._described()["host_deploy_keys"])

    def _connection(self) -> dict[str, Any]:
        return {name: value for name, value in self._described().items() if name.startswith("ansible_")}

    def _make_ssh(self) -> None:
        """Let ssh find the address, which nobody has."""
        config = self.folder / "bin/ssh_config"
        config.parent.mkdir()
        config.write_text(
            (self.host.hosts.folder / NAME / "ssh_config").read_text().replace(f"Host {NAME}", f"Host {ADDRESS}", 1)
        )
        program = config.with_name("ssh")
        program.write_text(f'#!/bin/sh\nexec /usr/bin/ssh -F {config} "$@"\n')
        program.chmod(0o755)
