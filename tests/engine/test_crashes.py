"""Crashes: what systemd logged of them, and how they are told."""

from collections.abc import Sequence
from typing import Any

import pytest

from slipway.engine import deploy
from slipway.engine.causes import explain
from slipway.engine.crashes import LOOP, OUT_OF_MEMORY, PROCESS_EXIT, RESTART, Crashes
from slipway.engine.errors import PhaseError
from slipway.engine.status import status, text
from slipway.engine.systemd import UnitState
from tests.engine.fakes import Behaviour, FakeHost
from tests.engine.names import A

UNIT = f"app@{A}.service"


def entry(kind: str, **fields: Any) -> dict[str, Any]:
    return {"MESSAGE_ID": kind, "__REALTIME_TIMESTAMP": "1795000000250000", **fields}


def killed(status: int = 9) -> dict[str, Any]:
    return entry(PROCESS_EXIT, EXIT_CODE="killed", EXIT_STATUS=str(status))


OOM = [entry(OUT_OF_MEMORY), killed(), entry(RESTART)]


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([], Crashes()),
        (OOM, Crashes(1, 1, "SIGKILL", 1795000000.25)),
        (OOM * 3, Crashes(3, 3, "SIGKILL", 1795000000.25)),
        ([entry(OUT_OF_MEMORY)], Crashes(0, 1, "", 1795000000.25)),
        ([killed(11), entry(RESTART)], Crashes(1, 0, "SIGSEGV", 1795000000.25)),
        ([killed(99)], Crashes(0, 0, "signal 99", None)),
        ([entry(PROCESS_EXIT, EXIT_CODE="exited", EXIT_STATUS="9")], Crashes(ending="exit status 9")),
        ([entry(PROCESS_EXIT, EXIT_CODE="exited", EXIT_STATUS="0")], Crashes()),
    ],
)
def test_crashes_are_read_from_the_journal(entries: Sequence[dict[str, Any]], expected: Crashes) -> None:
    found = Crashes.read(entries)
    assert found == expected
    assert Crashes.from_json(found.to_json()) == expected


@pytest.mark.parametrize(
    ("state", "shown"),
    [
        (UnitState("failed", "failed", 0, 9, killed=True), "SIGKILL"),
        (UnitState("failed", "failed", 0, 9), "exit status 9"),
        (UnitState("active", "running", 1, 0), ""),
    ],
)
def test_a_signal_is_no_exit_status(host: FakeHost, state: UnitState, shown: str) -> None:
    told = explain("it crashed", host.systemd, UNIT, since=0, crashed=state).splitlines()[0]
    assert told == ("it crashed" + f" ({shown})" * bool(shown))


@pytest.mark.parametrize("lines", [(), ("INFO GET / 200",) * 500, ("ValueError: no number",)])
def test_a_kill_for_memory_names_the_limit_whatever_the_app_wrote(host: FakeHost, lines: tuple[str, ...]) -> None:
    host.ship(A, Behaviour(crashes=True, output=lines, crashed=Crashes.read(OOM)))
    with pytest.raises(PhaseError) as caught:
        deploy.activate(host, A)
    told = str(caught.value).splitlines()
    assert told[0] == "the web server crashed while starting (SIGKILL): out of memory (app_memory_max: 512 MiB)"
    assert told[1].startswith("Hint: all processes of this unit together may have 512 MiB (`app_memory_max`)")
    assert "(SIGKILL): out of memory (app_memory_max: 512 MiB)" in text(status(host))


def test_a_process_of_the_procfile_has_its_own_variable(host: FakeHost) -> None:
    host.systemd.crashes = lambda _unit, _since: Crashes(kills=1)  # type: ignore[assignment, method-assign]
    told = explain("process worker.1 crashed", host.systemd, f"app-worker.1@{A}.service", since=0)
    assert "(memory_max in app_processes, or app_memory_max: 512 MiB)" in told


@pytest.mark.parametrize(
    ("crashed", "state", "problem"),
    [
        (Crashes(), "healthy", None),
        (Crashes(restarts=LOOP - 1, ending="SIGKILL"), "healthy", None),
        (
            Crashes(restarts=LOOP, ending="exit status 3"),
            "unhealthy",
            "web: crashed 3 times in the last hour, last by exit status 3; `slipway logs",
        ),
        (
            Crashes(restarts=7, kills=9, ending="SIGKILL"),
            "unhealthy",
            "web: crashed 7 times in the last hour, last by SIGKILL, the kernel killed processes of it 9 times for want "
            "of memory: all processes of this unit together may have 512 MiB (`app_memory_max`)",
        ),
        (Crashes(kills=LOOP), "unhealthy", "web: the kernel killed processes of it 3 times for want of memory: all"),
    ],
)
def test_a_live_release_that_crashes_again_and_again_is_unhealthy(
    host: FakeHost, crashed: Crashes, state: str, problem: str | None
) -> None:
    deploy.activate(host, host.ship(A))
    host.systemd.behaviours[A].crashed = crashed
    values = status(host)
    assert values["state"] == state
    assert (values["problem"] or "").startswith(problem or "")
    assert bool(values["problem"]) == bool(problem)
    assert ("  crashes   web: " in text(values)) == (crashed != Crashes())


def test_only_crashes_since_it_is_live_count(host: FakeHost) -> None:
    deploy.activate(host, host.ship(A))
    asked: list[float] = []

    def crashes(_unit: str, since: float) -> Crashes:
        asked.append(since)
        return Crashes()

    host.systemd.crashes = crashes  # type: ignore[assignment, method-assign]
    status(host)
    live_at = host.releases.record(A).live_at
    host.change(A, live_at="2020-01-01T00:00:00+00:00")
    status(host)
    assert live_at
    assert asked[0] > asked[1]
