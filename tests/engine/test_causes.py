"""What a person is told of a failure."""

import time

import pytest

from slipway import causes
from slipway.causes import HINTS, explain, hint
from tests.engine.fakes import Behaviour, FakeHost
from tests.engine.names import A

SEEN = {
    "OSError: could not bind on any address out of [('127.0.0.1', 9000)]": "--fd 3",
    "[Errno 13] error while attempting to bind on address ('0.0.0.0', 80): permission denied": "--fd 3",
    "socket.gaierror: [Errno -3] Temporary failure in name resolution": "app_egress",
    "getaddrinfo EAI_AGAIN db.example": "app_egress",
    "could not translate host name: Name or service not known": "app_egress",
    "OSError: [Errno 30] Read-only file system: '/app/cache'": "$STATE_DIRECTORY",
    "Error: EROFS: read-only file system, mkdir '/app/x'": "$STATE_DIRECTORY",
    "OSError: [Errno 97] Address family not supported by protocol": "app_egress",
    "connect: Network is unreachable": "app_egress",
    "socket() failed: EAFNOSUPPORT": "app_egress",
    "Main process exited, code=dumped, status=31/SYS": "SystemCallFilter=",
    "killed by SIGSYS": "SystemCallFilter=",
    "Bad system call (core dumped)": "SystemCallFilter=",
    "ImportError: libx.so: cannot enable executable stack": "app_allow_jit",
    "mprotect: Operation not permitted": "app_allow_jit",
    "failed to map segment from shared object": "app_allow_jit",
    "Cannot allocate executable memory": "app_allow_jit",
    "PermissionError: [Errno 13] Permission denied: '/tmp/run'": "app_allow_jit",
    "PermissionError: [Errno 1] Operation not permitted": "docs/contract.md",
    "Error: EPERM, chown": "docs/contract.md",
}


@pytest.mark.parametrize(("line", "setting"), SEEN.items())
def test_what_the_sandbox_refuses_names_the_setting_to_change(line: str, setting: str) -> None:
    assert setting in str(hint(["starting", line, "exiting"]))


def test_every_hint_is_seen_once() -> None:
    assert {hint([line]) for line in SEEN} == {advice for _, advice in HINTS}


def test_who_wanted_to_listen_is_not_told_to_open_a_network() -> None:
    said = [
        '  File "/usr/lib/python3/dist-packages/gunicorn/sock.py", line 156, in create_sockets',
        "OSError: [Errno 97] Address family not supported by protocol",
    ]
    assert "`exec`" in str(hint(said)) and "app_egress" not in str(hint(said))


def test_of_many_lines_the_errors_are_told() -> None:
    many = [f'{{"level": "INFO", "message": "link {number} created"}}' for number in range(100)]
    error = '{"level": "ERROR", "message": "no such table"}'
    assert causes.telling([*many, error, *many], 30) == [error]
    assert causes.telling(many, 3) == many[-3:]


def test_tracebacks_are_told_by_their_ends() -> None:
    frames = [f'  File "app.py", line {number}' for number in range(50)]
    error = '{"level": "ERROR", "message": "the licence has expired"}'
    first = ["Traceback (most recent call last):", *frames, "    ~~~^^", "KeyError: 'PAYMENT_URL'"]
    second = ["Traceback (most recent call last):", frames[0], "SystemExit: 3"]
    said = ["starting", *first, "INFO between", error, *second, "exiting"]
    assert causes.telling(said, 30) == [*frames[-8:], first[-1], error, *second]
    assert causes.telling(["starting", *second[:2]], 30) == second[:2], "cut off in the middle"


def test_an_ordinary_error_gets_no_hint() -> None:
    assert hint(["KeyError: 'DATABASE_URL'", "Connection refused"]) is None
    assert hint([]) is None


def test_a_cause_says_what_failed_the_hint_and_the_last_lines_in_this_order(host: FakeHost) -> None:
    host.systemd.behaviours[A] = Behaviour(says=("one", "OSError: Read-only file system"))
    unit = f"app@{A}.service"
    lines = explain("it crashed", host.systemd, unit, since=0).splitlines()
    assert lines[0] == "it crashed"
    assert lines[1].startswith("Hint: the app wrote outside")
    assert lines[2:] == [f"Last lines of {unit}:", "  OSError: Read-only file system"]


def test_only_the_last_lines_are_shown(host: FakeHost) -> None:
    host.systemd.behaviours[A] = Behaviour(says=tuple(map(str, range(100))))
    shown = explain("it crashed", host.systemd, f"app@{A}.service", since=0).splitlines()
    assert shown[2:] == [f"  {number}" for number in range(70, 100)]


def test_a_silent_app_is_said_to_be_silent(host: FakeHost) -> None:
    assert explain("it crashed", host.systemd, f"app@{A}.service", since=0).endswith("\n  (none)")


def test_an_apps_lines_cannot_steer_the_terminal_that_shows_them(host: FakeHost) -> None:
    host.systemd.behaviours[A] = Behaviour(says=("\x1b[2J\x1b]0;owned\x07", "\r::add-mask::x", "café\tok"))
    shown = explain("it crashed", host.systemd, f"app@{A}.service", since=0)
    assert shown.endswith("  ?[2J?]0;owned?\n  ?::add-mask::x\n  café\tok")


def test_lines_of_an_earlier_try_are_left_out(host: FakeHost) -> None:
    explain("it crashed", host.systemd, f"app@{A}.service", since=1795371668.25)
    assert host.systemd.journals_since == ["@1795371668.250"]


def test_a_journal_that_lags_is_waited_for(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(causes, "QUIET_SECONDS", 0.1)
    said = ["Traceback (most recent call last):", "  import nothere", "ImportError"]
    lagging = [said[:1], said[:2], said]
    monkeypatch.setattr(host.systemd, "journal", lambda *_a, **_k: lagging.pop(0) if len(lagging) > 1 else lagging[0])
    assert explain("it crashed", host.systemd, f"app@{A}.service", since=0).endswith("  ImportError")


def test_an_app_that_never_falls_silent_is_not_waited_for_for_ever(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(causes, "QUIET_SECONDS", 0.1)
    monkeypatch.setattr(causes, "MOST_SECONDS", 0.3)
    lines = iter(range(10**9))
    monkeypatch.setattr(host.systemd, "journal", lambda *_a, **_k: [str(next(lines))])
    began = time.monotonic()
    explain("it crashed", host.systemd, f"app@{A}.service", since=0)
    assert time.monotonic() - began < 5
