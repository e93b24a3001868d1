"""Fixtures of the scenario: a load of which no request may fail, and the playbook that provisions."""

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from deploys import NAME, ROOT, SCENARIO, run_playbook

from tools.checkout import APP_IMAGES

OnHost = Callable[[str], str]
Provision = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def on_host(host: Any) -> OnHost:
    """Run Python on the host, as root."""
    return lambda program: str(host.check_output(f"python3 -c {shlex.quote(program)}"))


@dataclass
class Load:
    """Requests at a constant rate, from outside."""

    url: str
    options: tuple[str, ...] = ()
    crashes: list[tuple[float, float]] = field(default_factory=list)
    """Between which moments nginx was killed, in epoch seconds: what was under way then may fail."""
    closings: list[float] = field(default_factory=list)
    """When nginx stopped or reloaded its configuration: nginx closes idle connections then, and a client that sends in
    that very moment has to send again."""
    deaths: list[tuple[float, float]] = field(default_factory=list)
    """When processes of the app died, and until when they took requests: nginx does not send again what was under way
    there and may have had an effect."""

    def run(self, verb: str, *options: str) -> str:
        command = [sys.executable, "-m", "labs.load", verb, NAME, *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    def start(self) -> None:
        self.run("start", f"--url={self.url}", "--host-header=localhost", f"--rate={RATE}", *self.options)
        self.running = True

    def stop(self) -> None:
        self.running = False
        self.run("stop", "--max-failures=1000000", "--min-rate=1", "--max-gap=1000")

    def failures(self) -> list[dict[str, Any]]:
        """Those that failed so far. Those under way are counted when they end."""
        time.sleep(1.5)
        lines = (ROOT / ".cache" / "load" / NAME / "failures.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def cut(self, failure: dict[str, Any]) -> bool:
        """Whether it was under way at a crash, or sent in the moment of a closing. No answer of any kind is that.

        Of a death only those fail, by a 502, that may not be sent again.
        """
        sent, ended = failure["t"], failure["t"] + failure["ms"] / 1000
        if failure["s"] == 502 and failure["m"] in ONCE:
            return any(sent < taken + KILL_SECONDS and died < ended for died, taken in self.deaths)
        if failure["s"]:
            return False
        return any(sent < after + KILL_SECONDS and before < ended for before, after in self.crashes) or any(
            moment - 0.1 < sent < moment + CLOSING_SECONDS and ended - sent < 0.5 for moment in self.closings
        )

    def check(self, max_gap: float = 5) -> int:
        """Assert that no request failed but those that were cut, and that no longer silence was (seconds).

        Returns how many were cut.
        """
        failures = self.failures()
        assert [failure for failure in failures if not self.cut(failure)] == []
        assert len(failures) <= (len(self.crashes) + len(self.closings) + len(self.deaths)) * CLIENTS
        summary = json.loads(
            self.run("check", "--max-failures=100000", f"--max-gap={max_gap}", f"--min-rate={RATE / 3}")
        )
        print(f"\n{len(failures)} of {summary['requests']} requests were cut; p99 {summary['p99']} ms")
        return len(failures)


RATE = 60 if os.environ.get("SLIPWAY_TESTS") == "not catalogue" else 150
"""Requests a second: 150 take more than half of a core."""
CLOSING_SECONDS = 1.0
"""How long after it was told nginx may be closing connections, on a busy machine."""
KILL_SECONDS = 0.3
"""How long after a kill systemd finds the last of the processes that go with it."""
CLIENTS = 65
"""How many clients the load has, each with one request at a time: so many may be cut at a time, no more."""
ONCE = {"POST", "PATCH"}
"""What nginx sends once only."""


@pytest.fixture
def stops(host: Any) -> Callable[..., list[float]]:
    """Tell when nginx was told to end since the test began, or whatever else the journal says, in epoch seconds."""
    began = time.time()

    def moments(words: str = ": Stopping nginx.service") -> list[float]:
        # All of it: an nginx that cannot start says a lot.
        shown = host.check_output(f"journalctl --unit=nginx --output=short-unix --no-pager --since=@{int(began)}")
        times = [float(line.split()[0]) for line in shown.splitlines() if words in line]
        return [moment for moment in times if moment >= began]

    return moments


@pytest.fixture(scope="module")
def load(request: pytest.FixtureRequest, addresses: dict[str, str]) -> Iterator[Load]:
    """A load of the module's own. SCHEME says over what, LOAD what else; a test that uses it ends with `check`."""
    scheme = getattr(request.module, "SCHEME", "http")
    options = getattr(request.module, "LOAD", ())
    found = Load(f"{scheme}://{addresses[scheme].replace('127.0.0.1', 'localhost')}", options)
    found.start()
    yield found
    if found.running:
        found.stop()


def provision_by(play: str) -> Provision:
    """Run a playbook with variables, `more` as JSON. What came of it is the caller's to judge."""

    def run(*, more: Sequence[str] = (), **variables: str) -> subprocess.CompletedProcess[str]:
        given = {"release_image": f"{APP_IMAGES}:molecule-attacker"} | variables
        site = f"--extra-vars=@{SCENARIO / 'vars' / 'site.yml'}"
        return run_playbook(
            site,
            *(f"--extra-vars={name}={value}" for name, value in given.items()),
            *(f"--extra-vars={values}" for values in more),
            play,
        )

    return run


@pytest.fixture(scope="session")
def provision() -> Provision:
    """Run site.yml."""
    return provision_by("site.yml")


@pytest.fixture(scope="session")
def provision_nginx() -> Provision:
    """Run what site.yml does for nginx, which takes seconds."""
    return provision_by(str(SCENARIO / "nginx.yml"))
