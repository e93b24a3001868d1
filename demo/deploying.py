"""A deploy or a rollback by its playbook, and what the host's records say of it."""

import json
import re
import shlex
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.host import ROOT, BenchError, Host, run
from demo.report.record import Deploy, Phase

NEWER_LINES = """
import json, pathlib, sys
for name in ("access.log.1", "access.log"):
    path = pathlib.Path("/var/log/nginx", name)
    for line in path.open() if path.exists() else ():
        if json.loads(line)["time"] >= float(sys.argv[1]):
            print(line, end="")
"""


class DemoHost(Host):
    """A test host whose deploys are recorded."""

    def __init__(self, name: str, inventory: Path, variables: dict[str, Any] | None = None) -> None:
        """`variables` are given to every playbook beside those of the inventory."""
        super().__init__(name, keep=True)
        self.inventory, self.variables = inventory, variables or {}

    def url(self) -> str:
        """Where it serves.

        Raises:
            BenchError: there is no such host.
        """
        try:
            return str(json.loads(_without_comments(self._own_inventory()))["app"]["hosts"][self.name]["test_url"])
        except FileNotFoundError:
            raise BenchError(f"there is no host {self.name}: make up") from None

    def _own_inventory(self) -> Path:
        return ROOT / f".cache/hosts/{self.name}/inventory.yml"

    def run_playbook(self, verb: str, **variables: Any) -> None:
        """Run a playbook.

        Raises:
            BenchError: it failed; the text is what it said.
        """
        given = json.dumps(self.variables | variables)
        run("ansible-playbook", "-i", str(self.inventory), "-e", given, verb, folder=ROOT / "ansible")

    def deploy(self, name: str, what: str, image: str, *, bad: bool = False) -> Deploy:
        """Deploy an image, or see it being taken back.

        Raises:
            BenchError: it ended as it should not have.
        """
        before, sent = self.status()["live"], self.received_over_ssh()
        deploy = Deploy(name, what, time.time(), 0.0, kind="bad" if bad else "good", before=before)
        error = None
        try:
            self.run_playbook("deploy.yml", release_image=image)
        except BenchError as failed:
            error = failed
        deploy.ended, deploy.bytes = time.time(), added(sent, self.received_over_ssh())
        self.settle()
        status = self.status()
        newest = status["releases"][0]
        if bad != (error is not None) or (bad and newest["state"] != "failed"):
            raise error or BenchError(f"{name} became live, and should have been taken back: {newest['release']}")
        return recorded(deploy, newest, status["history"][-1])

    def rollback(self, name: str) -> Deploy:
        """Go back to the release before.

        Raises:
            BenchError: it failed.
        """
        deploy = Deploy(name, "rollback.yml", time.time(), 0.0, kind="rollback", before=self.status()["live"])
        self.run_playbook("rollback.yml")
        deploy.ended = time.time()
        self.settle()
        status = self.status()
        record = next(each for each in status["releases"] if each["release"] == status["live"])
        return recorded(deploy, record, status["history"][-1])

    def received_over_ssh(self) -> dict[str, int]:
        """Bytes that came in so far over each SSH connection that is open, which Ansible keeps for a minute."""
        return received(self.shell("ss --tcp --info --no-header state established '( sport = :22 )'"))

    def access_log(self, since: float) -> str:
        """The lines of nginx's log about requests that ended since then (epoch seconds)."""
        return self.shell(f"python3 -c {shlex.quote(NEWER_LINES)} {since}")

    def memory(self) -> float:
        """Memory of the app's processes in MB: what they share counts once (PSS)."""
        said = self.shell("""
            find /sys/fs/cgroup -path '*app@*.service/cgroup.procs' -exec cat {} + |
                while read -r process; do grep '^Pss:' /proc/$process/smaps_rollup || :; done
        """)
        return sum(int(line.split()[1]) for line in said.splitlines()) / 1024


def recorded(deploy: Deploy, record: dict[str, Any], audit: dict[str, Any]) -> Deploy:
    """Add what the host wrote down: the phases, and how it ended."""
    deploy.release = record["release"]
    phases = [Phase(phase["name"], seconds(phase["at"]), phase["seconds"]) for phase in record["phases"]]
    deploy.live = record["state"] == "live"
    deploy.live_at = seconds(record["live_at"]) if deploy.live else None
    if phases:
        # Before: the controller's part, from typing it until the engine took over.
        phases.insert(0, Phase("ship", deploy.began, phases[0].at - deploy.began))
    if not deploy.live:
        deploy.cause = (record["cause"] or "").splitlines()[0]
        end = seconds(audit["at"])
        phases.append(Phase("take back", phases[-1].end, max(0.0, end - phases[-1].end)))
    deploy.phases = phases
    return deploy


def received(said: str) -> dict[str, int]:
    """What `ss --info` says: bytes received, by the other end of the connection."""
    lines = said.splitlines()
    counts = (re.search(r"bytes_received:([0-9]+)", line) for line in lines[1::2])
    return {line.split()[3]: int(count[1]) if count else 0 for line, count in zip(lines[::2], counts, strict=True)}


def added(before: dict[str, int], after: dict[str, int]) -> int:
    """Bytes that came in between; a connection that was closed meanwhile adds none."""
    return sum(count - before.get(end, 0) for end, count in after.items())


def seconds(moment: str) -> float:
    """An ISO 8601 time in epoch seconds."""
    return datetime.fromisoformat(moment).timestamp()


def names(deploys: Sequence[Deploy], first: str) -> dict[str, str]:
    """What each release is called on the page."""
    found = {deploys[0].before: first} if deploys else {}
    for deploy in deploys:
        found.setdefault(deploy.release, deploy.name)
    return found


def _without_comments(path: Path) -> str:
    return "\n".join(line for line in path.read_text().splitlines() if not line.startswith("#"))
