"""A test host as its root sees it, without a login."""

import subprocess
import time
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from slipway.controller.local.docker import docker
from slipway.controller.local.hosts import LocalHosts, Ports


@dataclass(frozen=True)
class Machine:
    """A host, as its root sees it."""

    hosts: LocalHosts
    name: str

    def up(self, *groups: str) -> None:
        """Make it run, as a host of these groups of an inventory."""
        self.hosts.up(self.name, system="debian-13", ports=Ports(), groups=list(groups))

    @property
    def address(self) -> str:
        """Where other hosts reach it."""
        inspected = docker("inspect", "--format={{.NetworkSettings.IPAddress}}", self.hosts.container(self.name))
        return str(ip_address(inspected))

    def copy(self, file: Path, target: str) -> None:
        """Copy a file onto it."""
        docker("cp", str(file), f"{self.hosts.container(self.name)}:{target}")

    def run(self, script: str) -> subprocess.CompletedProcess[str]:
        """Run a script."""
        command = ["docker", "exec", self.hosts.container(self.name), "sh", "-euc", script]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def shell(self, script: str) -> str:
        """Run a script. Returns what it printed; its failure is the test's."""
        done = self.run(script)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def wait_until(self, what: str, seconds: float = 60) -> None:
        """Wait until a condition of the shell holds."""
        deadline = time.monotonic() + seconds
        while self.run(what).returncode:
            assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
            time.sleep(0.1)
