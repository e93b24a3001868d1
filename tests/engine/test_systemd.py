"""The calls of systemctl and journalctl, and how their output is read: scripts on PATH stand in for them."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from slipway.engine.crashes import RESTART
from slipway.engine.errors import SystemdError
from slipway.engine.systemd import UNIT_ENDED, Systemd, UnitState

Program = Callable[..., Callable[[], list[str]]]


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Scripts the output of a program; returns a function that returns its calls."""
    folder = tmp_path  # programs may run there

    def script(
        name: str, out: bytes = b"", error: str = "", status: int = 0, sleeps: float = 0
    ) -> Callable[[], list[str]]:
        (folder / "out").write_bytes(out)
        file = folder / name
        file.write_text(
            f'#!/bin/sh\necho "$@" >> {folder}/called\n[ {sleeps} = 0 ] || exec sleep {sleeps}\n'
            f"cat {folder}/out\necho '{error}' >&2\nexit {status}\n"
        )
        file.chmod(0o755)
        return lambda: (folder / "called").read_text().splitlines()

    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return script


def state(active: str = "active", sub: str = "running", restarts: int = 0) -> UnitState:
    return UnitState(active, sub, restarts, 0)


@pytest.mark.parametrize(
    ("shown", "running", "crashed", "ended"),
    [
        (state(), True, False, False),
        (state(restarts=1), True, True, False),
        (state("activating", "auto-restart"), False, True, False),
        (state("activating", "auto-restart-queued"), False, True, False),
        (state("activating", "start"), False, False, False),
        (state("deactivating", "stop-sigterm"), False, False, False),
        (state("failed", "failed"), False, True, True),
        (state("inactive", "dead"), False, False, True),
    ],
)
def test_running_crashed_and_ended_follow_from_a_state(
    shown: UnitState, running: bool, crashed: bool, ended: bool
) -> None:
    assert (shown.running, shown.crashed, shown.ended) == (running, crashed, ended)


def test_a_state_is_read_from_show(program: Program) -> None:
    called = program(
        "systemctl",
        b"ActiveState=activating\nSubState=auto-restart\nNRestarts=4\nExecMainStatus=3\nExecMainCode=1\n",
    )
    assert Systemd().state("app@x.service") == UnitState("activating", "auto-restart", 4, 3)
    assert called()[0].endswith("ExecMainStatus,ExecMainCode app@x.service")


def test_what_a_socket_does_not_have_is_zero(program: Program) -> None:
    program("systemctl", b"ActiveState=active\nSubState=listening\nNRestarts=\n")
    assert Systemd().state("app@x.socket") == UnitState("active", "listening", 0, 0)
    program("systemctl", b"", "Failed to connect to bus", 1)
    assert Systemd().state("app@x.socket").ended


def test_units_are_started_and_stopped_in_one_call_without_asking_for_a_password(program: Program) -> None:
    called = program("systemctl")
    Systemd().start("a", "b")
    Systemd().stop("b", wait=False)
    assert called() == ["--no-ask-password start a b", "--no-ask-password --no-block stop b"]


def test_a_refusal_of_systemctl_is_an_error(program: Program) -> None:
    program("systemctl", error="Access denied", status=4)
    with pytest.raises(SystemdError, match=r"^Access denied$"):
        Systemd().start("a")
    program("systemctl", status=4)
    with pytest.raises(SystemdError, match=r"^exit status 4$"):
        Systemd().stop("a")


def test_a_systemctl_that_hangs_is_an_error(program: Program) -> None:
    program("systemctl", sleeps=30)
    began = time.monotonic()
    with pytest.raises(SystemdError, match=r"^`systemctl --no-ask-password start a` was not done within 0\.2 s$"):
        Systemd().start("a", timeout=0.2)
    assert time.monotonic() - began < 5


def test_systemctl_waits_for_a_busy_systemd_as_long_as_the_engine_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own limit is 25 s."""
    program = tmp_path / "systemctl"
    program.write_text('#!/bin/sh\necho "after $SYSTEMD_BUS_TIMEOUT" >&2\nexit 1\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(SystemdError, match=r"^after 120s$"):
        Systemd().start("a")
    with pytest.raises(SystemdError, match=r"^after 7s$"):
        Systemd().stop("a", timeout=7)


def test_units_that_are_not_inactive_are_listed(program: Program) -> None:
    called = program(
        "systemctl",
        b"app@a.service loaded active       running      The app\n"
        b"app@b.service loaded inactive     dead         The app\n"
        b"app@c.service loaded failed       failed       The app\n"
        b"app@d.service loaded deactivating stop-sigterm The app\n\n",
    )
    assert Systemd().loaded("app@*.service") == ["app@a.service", "app@c.service", "app@d.service"]
    assert called()[0].startswith("list-units --all --plain --no-legend")


def test_the_journal_is_read_whatever_bytes_the_app_wrote(program: Program) -> None:
    called = program("journalctl", b"plain\ncaf\xe9\n")
    assert Systemd().journal("app@x.service", lines=7) == ["caf\ufffd", "plain"]
    assert "--unit=app@x.service --lines=7" in called()[0]


@pytest.fixture
def journals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[list[dict[str, Any]], list[dict[str, Any]]], None]:
    """Scripts what journalctl shows of the app's journal and of the host's."""

    def script(app: list[dict[str, Any]], host: list[dict[str, Any]]) -> None:
        for name, entries in (("app", app), ("host", host)):
            lines = [json.dumps({"__CURSOR": f"{name}-{at}"} | entry) for at, entry in enumerate(entries)]
            (tmp_path / name).write_text("".join(f"{line}\n" for line in lines))
        program = tmp_path / "journalctl"
        program.write_text(
            f'#!/bin/sh\necho "$@" >>{tmp_path}/called\n'
            f'case " $* " in *" --namespace=app "*) cat {tmp_path}/app ;; *) cat {tmp_path}/host ;; esac\n'
        )
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    return script


UNIT = "run@x.service"
FORGED: list[dict[str, Any]] = [
    {"EXIT_STATUS": "x"},
    {"EXIT_STATUS": "0"},
    {"EXIT_STATUS": ["1", "2"]},
    {"EXIT_STATUS": None},
    {"MESSAGE_ID": next(iter(UNIT_ENDED))},
    {"MESSAGE_ID": ["a", "b"]},
    {"UNIT": UNIT, "_PID_": "1", "PRIORITY": "x"},
    {"MESSAGE": ["one", "two"]},
    {"MESSAGE": [[255, 254], "two"]},
    {"MESSAGE": [255]},
    {"MESSAGE": None},
]


@pytest.mark.parametrize("fields", FORGED)
def test_a_program_says_nothing_about_its_own_end(journals: Any, fields: dict[str, Any]) -> None:
    """It may log any field but those with an underscore before."""
    journals([{"MESSAGE": "hello"} | fields], [{"MESSAGE": "exited", "EXIT_STATUS": "3"}])
    (written, logged), _ = Systemd().entries_since(UNIT, ("", ""))
    assert (written.by_unit, written.exit_status, written.end) == (True, None, False)
    assert (logged.by_unit, logged.exit_status) == (False, 3)


def test_of_the_hosts_journal_only_the_lines_of_pid_1_are_read(journals: Any, tmp_path: Path) -> None:
    journals([], [])
    Systemd().entries_since(UNIT, ("here", "there"))
    host, app = (tmp_path / "called").read_text().splitlines()
    assert "--after-cursor=there" in host and host.endswith(f" _PID=1 UNIT={UNIT}")
    assert "--after-cursor=here" in app and app.endswith(f" --namespace=app _SYSTEMD_UNIT={UNIT}")


def test_the_journals_are_read_on_from_where_each_ended(journals: Any) -> None:
    journals([{"MESSAGE": "a"}, {"MESSAGE": "b"}], [{"MESSAGE": "ended", "MESSAGE_ID": next(iter(UNIT_ENDED))}])
    entries, cursor = Systemd().entries_since(UNIT, ("", ""))
    assert [(entry.message, entry.end) for entry in entries] == [("a", False), ("b", False), ("ended", True)]
    assert cursor == ("app-1", "host-0")
    journals([], [])
    assert Systemd().entries_since(UNIT, cursor) == ([], cursor)


def test_a_journal_without_an_entry_is_read_from_its_beginning(journals: Any, tmp_path: Path) -> None:
    """As the app's is when the first unit has started since it has one."""
    journals([], [{}])
    cursor = Systemd().cursor()
    assert cursor == ("", "host-0")
    Systemd().entries_since(UNIT, cursor)
    assert "--after-cursor" not in (tmp_path / "called").read_text().splitlines()[-1]


@pytest.mark.parametrize(
    ("shown", "result"),
    [
        (b"Result=success\nExecMainExitTimestamp=@1796097600\n", ("success", 1796097600.0)),
        (b"Result=exit-code\nExecMainExitTimestamp=@1796097600.5\n", ("exit-code", 1796097600.5)),
        (b"Result=success\nExecMainExitTimestamp=\n", None),
        (b"Result=success\nExecMainExitTimestamp=@0\n", None),
    ],
)
def test_how_a_unit_ended_last(program: Program, shown: bytes, result: tuple[str, float] | None) -> None:
    called = program("systemctl", shown)
    assert Systemd().result("job-nightly.service") == result
    assert called() == ["show --timestamp=unix --property=Result,ExecMainExitTimestamp job-nightly.service"]


def test_no_units_need_no_call(program: Program) -> None:
    called = program("systemctl", status=1)
    Systemd().stop()
    with pytest.raises(FileNotFoundError):
        called()


def test_crashes_are_told_with_their_time(program: Program) -> None:
    entry = {"__REALTIME_TIMESTAMP": "1700000000500000", "UNIT": "app@x.service", "MESSAGE_ID": RESTART}
    called = program("journalctl", json.dumps(entry).encode())
    assert Systemd().crash_events(1_600_000_000.25) == [
        {"at": 1_700_000_000.5, "unit": "app@x.service", "what": "restarted after a crash"}
    ]
    assert {"--reverse", "--since=@1600000000.250", "_PID=1"} <= set(called()[0].split())


@pytest.mark.parametrize(
    ("shown", "memory"),
    [
        (b"MemoryCurrent=1048576\nMemoryPeak=2097152\nMemoryMax=infinity\n", (1 << 20, 2 << 20, None)),
        (b"MemoryCurrent=18446744073709551615\nMemoryMax=536870912\n", (None, None, 512 << 20)),
        (b"MemoryCurrent=[not set]\nMemoryPeak=[not set]\nMemoryMax=[not set]\n", (None, None, None)),
    ],
)
def test_the_memory_of_a_unit(program: Program, shown: bytes, memory: tuple[int | None, ...]) -> None:
    program("systemctl", shown)
    assert tuple(Systemd().memory("app@x.service").values()) == memory
