"""PostgreSQL and the broker restart under load: what clients see (docs/reference/failures.md)."""

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from deploys import ROOT

SETTLED_SECONDS = 2
"""After the server is back, on a busy machine."""
ENOUGH = 500
"""Requests, to have seen anything: there are 150 a second for ten seconds."""


class Load:
    """The load, and what its requests saw while a server was away."""

    def __init__(self, name: str) -> None:
        """Name the run."""
        self.name = name
        self.folder = ROOT / ".cache" / "load" / name

    def run(self, *command: str) -> None:
        """Run a verb of labs.load. Its exit status is ignored: some failures are expected."""
        subprocess.run([sys.executable, "-m", "labs.load", *command], capture_output=True, check=False)

    def lines(self, name: str) -> list[dict[str, Any]]:
        """One of its files."""
        text = (self.folder / name).read_text() if (self.folder / name).exists() else ""
        return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def load(name: str, addresses: dict[str, str]) -> Iterator[Load]:
    """A load of this test's own."""
    load = Load(f"{name}-restarts")
    load.run("start", load.name, f"--url=http://{addresses['http']}", "--host-header=localhost")
    time.sleep(3)
    yield load
    load.run("stop", load.name)


@pytest.fixture
def unit(host: Any) -> Callable[[str], str]:
    """Tell the unit of one of the servers."""

    def found(kind: str) -> str:
        pattern = {"postgres": "postgresql@*.service", "broker": "valkey-server.service redis-server.service"}[kind]
        shown: str = host.check_output(f"systemctl list-units --plain --no-legend --state=active {pattern}")
        return shown.split()[0]

    return found


def processes(host: Any) -> set[str]:
    """The app's process ids."""
    master = host.check_output("systemctl show --property=MainPID --value 'app@*.service'")
    return {master, *host.check_output(f"pgrep --parent {master}").split()}


def away(host: Any, ask: Any, command: str) -> tuple[float, float, list[tuple[int, str]]]:
    """Run a command; return when it began and ended, and the responses of /readyz meanwhile."""
    with ThreadPoolExecutor(1) as pool:
        began = time.time()
        done = pool.submit(host.check_output, command)
        responses = []
        while not done.done():
            answer = ask("/readyz")
            responses.append((answer.status, answer.body.decode()))
            time.sleep(0.05)
        done.result()
        ended = time.time()
    time.sleep(SETTLED_SECONDS)
    return began, ended, responses


@pytest.mark.parametrize(
    "command",
    [
        pytest.param("systemctl restart {unit}", id="restarted", marks=pytest.mark.catalogue),
        pytest.param("systemctl stop {unit}; sleep 3; systemctl start {unit}", id="away", marks=pytest.mark.catalogue),
        # Nobody starts it again but systemd.
        pytest.param(
            "systemctl kill --signal=KILL --kill-whom=all {unit}; sleep 0.2;"
            " until systemctl is-active {unit}; do sleep 0.1; done",
            id="killed",
        ),
    ],
)
def test_the_app_outlives_postgres(host: Any, ask: Any, load: Load, unit: Any, command: str) -> None:
    before = processes(host)
    began, ended, said = away(host, ask, command.format(unit=unit("postgres")))
    assert ask("/readyz").status == 200
    assert processes(host) == before, "nothing of the app was started anew"
    time.sleep(SETTLED_SECONDS)
    load.run("stop", load.name)
    failed, requests = load.lines("failures.jsonl"), load.lines("requests.jsonl")
    assert len(requests) > ENOUGH
    within = [each for each in requests if began <= each["t"] + each["ms"] / 1000 and each["t"] <= ended]
    print(f"{ended - began:.2f} s; of {len(within)} requests {Counter((each['r'], each['s']) for each in within)}")
    print(
        f"readyz {Counter(status for status, _ in said)}, {next((body for status, body in said if status != 200), '')}"
    )
    assert {each["s"] for each in failed} <= {503}, failed[:3]
    late = [each for each in failed if each["t"] > ended + SETTLED_SECONDS or each["t"] + each["ms"] / 1000 < began]
    assert late == []
    assert {status for status, _ in said} <= {200, 503}
    if "sleep" in command:
        assert any("The database does not answer" in body for _, body in said)


def test_nobody_notices_the_broker(host: Any, ask: Any, load: Load, unit: Any) -> None:
    before, name = processes(host), unit("broker")
    _, _, said = away(host, ask, f"systemctl restart {name}; systemctl stop {name}; sleep 3; systemctl start {name}")
    assert {status for status, _ in said} == {200}
    assert processes(host) == before
    load.run("stop", load.name)
    assert len(load.lines("requests.jsonl")) > ENOUGH
    assert load.lines("failures.jsonl") == []
