"""Test hosts (tools/host): playbooks that run against them, and what is measured on them."""

import json
import re
import shlex
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from labs.command import ROOT, LabError, run

HOST_TOOL = str(ROOT / "tools/host")
ACCESS_LOG_SINCE = """
import json, pathlib, sys
for name in ("access.log.1", "access.log"):
    path = pathlib.Path("/var/log/nginx", name)
    for line in path.open() if path.exists() else ():
        if json.loads(line)["time"] >= float(sys.argv[1]):
            print(line, end="")
"""


class Host:
    """A host that runs."""

    def __init__(self, name: str, variables: Mapping[str, Any] | None = None, *, inventory: Path | None = None) -> None:
        """`variables` go to every playbook. The default inventory is that of tools/host."""
        self.name = name
        self._variables = dict(variables or {})
        self._own_inventory = ROOT / f".cache/hosts/{name}/inventory.yml"
        self._inventory = inventory or self._own_inventory

    def url(self) -> str:
        """Return the URL at which nginx listens.

        Raises:
            LabError: there is no such host.
        """
        try:
            lines = self._own_inventory.read_text().splitlines()
        except FileNotFoundError:
            raise LabError(f"there is no host {self.name}: make up") from None
        inventory = json.loads("\n".join(line for line in lines if not line.startswith("#")))
        return str(inventory["app"]["hosts"][self.name]["test_url"])

    def is_healthy(self) -> bool:
        """Tell whether the host exists and its live release is healthy."""
        try:
            return bool(self.url()) and self.status()["state"] == "healthy"
        except LabError:
            return False

    def play(self, playbook: str, **variables: Any) -> float:
        """Run a playbook. Returns its duration in seconds.

        Raises:
            LabError: it failed; the text ends with Ansible's output.
        """
        extra_vars = json.dumps(self._variables | variables)
        started_at = time.monotonic()
        run("ansible-playbook", "-i", str(self._inventory), "-e", extra_vars, playbook, cwd=ROOT / "ansible")
        return time.monotonic() - started_at

    def shell(self, script: str, *, user: str = "admin") -> str:
        """Run a script on the host: as root through sudo, or as the user `deploy`. Returns its output.

        Raises:
            LabError: it failed.
        """
        command = script if user == "deploy" else f"sudo sh -euc {shlex.quote(script)}"
        config = ROOT / f".cache/hosts/{self.name}/ssh_config"
        return run("ssh", "-F", str(config), f"{user}@{self.name}", command)

    def status(self) -> dict[str, Any]:
        """Return the output of `slipway status --json`."""
        status: dict[str, Any] = json.loads(self.shell("slipway status --json", user="deploy"))
        return status

    def wait_until_idle(self) -> None:
        """Wait until no activation runs: `slipway rollback` returns before the other release has retired."""
        while self.status()["lock"]:
            time.sleep(0.2)

    def access_log(self, since: float) -> str:
        """Return the lines of nginx's access log about requests that ended at or after `since` (epoch seconds)."""
        return self.shell(f"python3 -c {shlex.quote(ACCESS_LOG_SINCE)} {since}")

    def memory_mb(self, unit: str = "app@*.service") -> float:
        """Return the memory of the processes of all units that match, in MB; shared pages count once (PSS)."""
        output = self.shell(f"""
            find /sys/fs/cgroup -path '*/{unit}/cgroup.procs' -exec cat {{}} + |
                while read -r process; do grep '^Pss:' /proc/$process/smaps_rollup || :; done
        """)
        return sum_of_pss_mb(output)

    def bytes_received(self) -> int:
        """Return the bytes that have come in over the host's network interface."""
        return int(self.shell("cat /sys/class/net/eth0/statistics/rx_bytes"))

    def ssh_bytes_received(self) -> dict[str, int]:
        """Return the bytes received by each open SSH connection; Ansible keeps its own open for a minute."""
        return parse_socket_bytes(self.shell("ss --tcp --info --no-header state established '( sport = :22 )'"))

    @contextmanager
    def foreign_cpus(self, own_seconds: Callable[[], float] = lambda: 0.0) -> Iterator[list[float]]:
        """Measure how many CPUs other work kept busy while the block ran: one value, after it.

        Other than this host's and, in CPU seconds so far, what `own_seconds` returns.
        """
        measured: list[float] = []
        started_at, before = time.monotonic(), self._foreign_cpu_seconds() - own_seconds()
        yield measured
        after = self._foreign_cpu_seconds() - own_seconds()
        measured.append((after - before) / (time.monotonic() - started_at))

    def _foreign_cpu_seconds(self) -> float:
        """CPU time of the machine (/proc/stat is not namespaced) without that of this host's cgroup."""
        output = self.shell(
            "getconf CLK_TCK; grep '^cpu ' /proc/stat; grep '^usage_usec' /sys/fs/cgroup/cpu.stat", user="deploy"
        )
        ticks, machine, own = output.splitlines()
        user, nice, system, _, _, irq, softirq, *_ = (int(word) for word in machine.split()[1:])
        return (user + nice + system + irq + softirq) / int(ticks) - int(own.split()[1]) / 1e6


def create(name: str, groups: str = "app") -> None:
    """Create a bare host in place of one of the same name."""
    run(HOST_TOOL, "down", name)
    run(HOST_TOOL, "up", name, "--groups", groups)


def use(name: str, variables: Mapping[str, Any], groups: str) -> Host:
    """Return a host that may exist already, in these groups of its inventory."""
    run(HOST_TOOL, "up", name, "--groups", groups)
    return Host(name, variables)


@contextmanager
def temporary_host(name: str, variables: Mapping[str, Any], *, groups: str, keep: bool) -> Iterator[Host]:
    """Create a bare host, and remove it after the block unless `keep`."""
    create(name, groups)
    try:
        yield Host(name, variables)
    finally:
        if not keep:
            run(HOST_TOOL, "down", name)


def sum_of_pss_mb(smaps: str) -> float:
    """Add up the `Pss:` lines of /proc/PID/smaps_rollup files (kB). Returns MB."""
    return sum(int(line.split()[1]) for line in smaps.splitlines()) / 1024


def parse_socket_bytes(output: str) -> dict[str, int]:
    """Parse `ss --info`: bytes received by peer address."""
    lines = output.splitlines()
    counts = (re.search(r"bytes_received:([0-9]+)", line) for line in lines[1::2])
    return {line.split()[3]: int(count[1]) if count else 0 for line, count in zip(lines[::2], counts, strict=True)}


def bytes_added(before: Mapping[str, int], after: Mapping[str, int]) -> int:
    """Return the bytes received between two samples; a connection that was closed in between adds none."""
    return sum(count - before.get(peer, 0) for peer, count in after.items())
