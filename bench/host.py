"""The host that is measured on, and the playbooks that are run against it."""

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".cache/bench"
WORKERS = 4
"""Of each set-up: as many as the textbook says."""

VARIABLES = {
    "nginx_server_names": ["localhost"],
    "host_admin": "admin",
    "release_watch_seconds": 0,  # how long a release is watched is chosen, not measured
    "app_workers": WORKERS,
    # All requests come from one address.
    "nginx_connections_per_address": 1000,
}


class BenchError(RuntimeError):
    """Something could not be measured; the text says what, and what it said."""


class Host:
    """A test host (tools/host) for as long as the bench runs."""

    def __init__(self, name: str, *, keep: bool, groups: str = "app") -> None:
        self.name = name
        self.keep = keep
        self.groups = groups

    def __enter__(self) -> Self:
        run(str(ROOT / "tools/host"), "down", self.name)
        run(str(ROOT / "tools/host"), "up", self.name, "--groups", self.groups)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if not self.keep:
            run(str(ROOT / "tools/host"), "down", self.name)

    def play(self, verb: str, image: str, **more: Any) -> float:
        """Run a playbook, with more variables if given. Returns the seconds that it took, from typing it to the prompt.

        Raises:
            BenchError: it failed.
        """
        settings = ROOT / "ansible/inventories/local/settings.env"
        variables = VARIABLES | {"release_image": image, "release_settings_file": str(settings)} | more
        inventory = ROOT / f".cache/hosts/{self.name}/inventory.yml"
        began = time.monotonic()
        run("ansible-playbook", "-i", str(inventory), "-e", json.dumps(variables), verb, folder=ROOT / "ansible")
        seconds = time.monotonic() - began
        say(f"{verb}: {seconds:.1f} s")
        return seconds

    def shell(self, script: str, *, user: str = "admin") -> str:
        """Run a script on the host, as root through sudo, or as the user `deploy`.

        Raises:
            BenchError: it failed.
        """
        command = script if user == "deploy" else f"sudo sh -euc {shlex.quote(script)}"
        config = ROOT / f".cache/hosts/{self.name}/ssh_config"
        return run("ssh", "-F", str(config), f"{user}@{self.name}", command)

    def status(self) -> dict[str, Any]:
        """What `slipway status --json` says."""
        said: dict[str, Any] = json.loads(self.shell("slipway status --json", user="deploy"))
        return said

    def settle(self) -> None:
        """Wait until nothing is activated: a rollback is told before the other release has ended."""
        while self.status()["lock"]:
            time.sleep(0.2)

    @contextmanager
    def alone(self) -> Iterator[list[float]]:
        """Note how many CPUs other work on this machine used while the block ran: the figures are worth that much."""
        noted: list[float] = []
        began, before = time.monotonic(), self._others()
        yield noted
        noted.append((self._others() - before) / (time.monotonic() - began))

    def _others(self) -> float:
        """The seconds of CPU that all but this host have used so far; /proc/stat is of the whole machine."""
        said = self.shell(
            "getconf CLK_TCK; grep '^cpu ' /proc/stat; grep '^usage_usec' /sys/fs/cgroup/cpu.stat", user="deploy"
        )
        ticks, machine, own = said.splitlines()
        user, nice, system, _, _, irq, softirq, *_ = (int(word) for word in machine.split()[1:])
        return (user + nice + system + irq + softirq) / int(ticks) - int(own.split()[1]) / 1e6

    def received(self) -> int:
        """The bytes that have come in over the host's network so far."""
        return int(self.shell("cat /sys/class/net/eth0/statistics/rx_bytes"))


def say(text: str) -> None:
    """Tell whoever waits how far it is."""
    print(f"bench: {text}", file=sys.stderr, flush=True)


def run(*command: str, folder: Path = ROOT) -> str:
    """Run a command and return what it printed.

    Raises:
        BenchError: it failed.
    """
    environment = os.environ | {"ANSIBLE_NOCOLOR": "1"}
    # A stdin of its own: ssh makes the one that it gets non-blocking, which Ansible refuses.
    done = subprocess.run(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).splitlines()[-20:])
        raise BenchError(f"{shlex.join(command)[:200]} ended with status {done.returncode}:\n{said}")
    return done.stdout
