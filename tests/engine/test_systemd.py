"""What is asked of systemctl and journalctl, and how their answers are read: programs on PATH stand for them."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from slipway.systemd import Systemd, UnitState

Says = Callable[..., Callable[[], list[str]]]


@pytest.fixture
def says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Says:
    """Scripts what a program prints; returns a function that tells how it was called."""
    folder = tmp_path  # programs may run there

    def script(
        program: str, out: bytes = b"", error: str = "", status: int = 0, sleeps: float = 0
    ) -> Callable[[], list[str]]:
        (folder / "out").write_bytes(out)
        file = folder / program
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
def test_how_a_state_is_judged(shown: UnitState, running: bool, crashed: bool, ended: bool) -> None:
    assert (shown.running, shown.crashed, shown.ended) == (running, crashed, ended)


def test_a_state_is_read_from_show(says: Says) -> None:
    called = says(
        "systemctl",
        b"ActiveState=activating\nSubState=auto-restart\nNRestarts=4\nExecMainStatus=3\n",
    )
    assert Systemd().state("app@x.service") == UnitState("activating", "auto-restart", 4, 3)
    assert called()[0].endswith("ExecMainStatus app@x.service")


def test_what_a_socket_does_not_have_is_zero(says: Says) -> None:
    says("systemctl", b"ActiveState=active\nSubState=listening\nNRestarts=\n")
    assert Systemd().state("app@x.socket") == UnitState("active", "listening", 0, 0)
    says("systemctl", b"", "Failed to connect to bus", 1)
    assert Systemd().state("app@x.socket").ended


def test_units_are_started_and_stopped_in_one_call_without_asking_for_a_password(says: Says) -> None:
    called = says("systemctl")
    assert Systemd().start("a", "b") is None
    assert Systemd().stop("b", wait=False) is None
    assert called() == ["--no-ask-password start a b", "--no-ask-password --no-block stop b"]


def test_what_systemctl_refuses_is_told(says: Says) -> None:
    says("systemctl", error="Access denied", status=4)
    assert Systemd().start("a") == "Access denied"
    says("systemctl", status=4)
    assert Systemd().stop("a") == "exit status 4"


def test_what_does_not_come_back_is_told(says: Says) -> None:
    says("systemctl", sleeps=30)
    began = time.monotonic()
    said = Systemd().start("a", timeout=0.2)
    assert said == "`systemctl --no-ask-password start a` did not come back within 0.2 s"
    assert time.monotonic() - began < 5


def test_units_that_are_not_inactive_are_listed(says: Says) -> None:
    called = says(
        "systemctl",
        b"app@a.service loaded active       running      The app\n"
        b"app@b.service loaded inactive     dead         The app\n"
        b"app@c.service loaded failed       failed       The app\n"
        b"app@d.service loaded deactivating stop-sigterm The app\n\n",
    )
    assert Systemd().loaded("app@*.service") == ["app@a.service", "app@c.service", "app@d.service"]
    assert called()[0].startswith("list-units --all --plain --no-legend")


def test_the_journal_is_read_whatever_bytes_the_app_wrote(says: Says) -> None:
    called = says("journalctl", b"plain\ncaf\xe9\n")
    assert Systemd().journal("app@x.service", lines=7) == ["caf\ufffd", "plain"]
    assert "--unit=app@x.service --lines=7" in called()[0]


@pytest.mark.parametrize(
    ("shown", "result"),
    [
        (b"Result=success\nExecMainExitTimestamp=@1796097600\n", ("success", 1796097600.0)),
        (b"Result=exit-code\nExecMainExitTimestamp=@1796097600.5\n", ("exit-code", 1796097600.5)),
        (b"Result=success\nExecMainExitTimestamp=\n", None),
        (b"Result=success\nExecMainExitTimestamp=@0\n", None),
    ],
)
def test_how_a_unit_ended_last(says: Says, shown: bytes, result: tuple[str, float] | None) -> None:
    called = says("systemctl", shown)
    assert Systemd().result("job-nightly.service") == result
    assert called() == ["show --timestamp=unix --property=Result,ExecMainExitTimestamp job-nightly.service"]


def test_nothing_is_asked_for_no_units(says: Says) -> None:
    says("systemctl", status=1)
    assert Systemd().stop() is None
