"""The cause of a failure, as people read it."""

import pytest

from slipway.engine import causes
from slipway.engine.causes import explain, hint
from tests.engine.fakes import Behaviour, FakeHost
from tests.engine.names import A

SEEN = {
    "OSError: could not bind on any address out of [('10.1.2.3', 9000)]": "address 10.1.2.3 that it listens on",
    "listen tcp 10.1.2.3:8000: bind: cannot assign requested address": "let it listen on 0.0.0.0:$PORT",
    "listen tcp :8000: bind: address already in use": "the port 8000 already",
    "[2026-11-28 10:00:00 +0000] [7] [ERROR] Connection in use: ('', 8000)": "the port 8000 already",
    "[Errno 98] error while attempting to bind on address ('::', 9000, 0, 0): address already in use": "the port 9000 already",
    "socket.gaierror: [Errno -3] Temporary failure in name resolution": "app_egress",
    "getaddrinfo EAI_AGAIN db.example": "app_egress",
    "could not translate host name: Name or service not known": "app_egress",
    "OSError: [Errno 30] Read-only file system: '/app/cache'": "$STATE_DIRECTORY",
    "Error: EROFS: read-only file system, mkdir '/app/x'": "$STATE_DIRECTORY",
    "OSError: [Errno 97] Address family not supported by protocol": "app_egress",
    "connect: Network is unreachable": "app_egress",
    "socket() failed: EAFNOSUPPORT": "app_egress",
    "ConnectionRefusedError: [Errno 111] Connect call failed ('127.0.0.1', 6379)": "app_egress: host",
    "Error 111 connecting to 127.0.0.1:6379. Connection refused.": "`release:` of the Procfile may not use the broker",
    'connection to server at "localhost" (127.0.0.1), port 5432 failed: Connection refused': "app_egress: host",
    "Main process exited, code=dumped, status=31/SYS": "SystemCallFilter=",
    "killed by SIGSYS": "SystemCallFilter=",
    "Bad system call (core dumped)": "SystemCallFilter=",
    "ImportError: libx.so: cannot enable executable stack": "app_allow_jit",
    "mprotect: Operation not permitted": "app_allow_jit",
    "failed to map segment from shared object": "app_allow_jit",
    "Cannot allocate executable memory": "app_allow_jit",
    "PermissionError: [Errno 13] Permission denied: '/tmp/run'": "app_allow_jit",
    "PermissionError: [Errno 1] Operation not permitted": "docs/reference/contract.md",
    "Error: EPERM, chown": "ordinary user",
}


@pytest.mark.parametrize(("line", "setting"), SEEN.items())
def test_what_the_sandbox_refuses_names_the_setting_to_change(line: str, setting: str) -> None:
    assert setting in str(hint(["starting", line, "exiting"]))


def test_an_app_that_tries_to_listen_gets_no_hint_about_egress() -> None:
    output = [
        '  File "/usr/lib/python3/dist-packages/gunicorn/sock.py", line 156, in create_sockets',
        "OSError: [Errno 97] Address family not supported by protocol",
    ]
    assert "0.0.0.0:$PORT" in str(hint(output)) and "app_egress" not in str(hint(output))


@pytest.mark.parametrize(
    ("why", "named"),
    [
        (
            "URL scheme should be 'redis' or 'rediss' [type=url_scheme, input_value='unix:///run/broker/broker.sock']",
            True,
        ),
        ("URL scheme not permitted (type=value_error.url.scheme; allowed_schemes={'rediss', 'redis'})", True),
        ("URL scheme should be 'http' or 'https' [type=url_scheme, input_value='unix:///x', input_type=str]", False),
    ],
)
def test_a_type_that_refuses_the_brokers_socket_names_the_setting(why: str, named: bool) -> None:
    lines = [
        "Traceback (most recent call last):",
        '  File "/app/shop/settings.py", line 9, in <module>',
        "    Settings()",
        "pydantic_core._pydantic_core.ValidationError: 1 validation error for Settings",
        "cache",
        f"  {why}",
    ]
    told = str(hint(lines))
    assert "Settings does not take cache (URL scheme" in told
    assert ("app_data_access: tcp" in told) == named


def test_of_many_lines_the_errors_are_shown() -> None:
    many = [f'{{"level": "INFO", "message": "link {number} created"}}' for number in range(100)]
    error = '{"level": "ERROR", "message": "no such table"}'
    assert causes.error_lines([*many, error, *many], 30) == [error]
    assert causes.error_lines(many, 3) == many[-3:]


def test_of_a_traceback_the_end_is_shown() -> None:
    frames = [f'  File "app.py", line {number}' for number in range(50)]
    error = '{"level": "ERROR", "message": "the licence has expired"}'
    first = ["Traceback (most recent call last):", *frames, "    ~~~^^", "KeyError: 'PAYMENT_URL'"]
    second = ["Traceback (most recent call last):", frames[0], "SystemExit: 3"]
    output = ["starting", *first, "INFO between", error, *second, "exiting"]
    assert causes.error_lines(output, 30) == [*frames[-8:], first[-1], error, *second]
    assert causes.error_lines(["starting", *second[:2]], 30) == second[:2], "cut off in the middle"


def test_an_ordinary_error_gets_no_hint() -> None:
    assert hint(["KeyError: 'DATABASE_URL'", "Connection refused"]) is None
    assert hint([]) is None


def test_a_cause_says_what_failed_the_hint_and_the_last_lines_in_this_order(host: FakeHost) -> None:
    host.systemd.behaviours[A] = Behaviour(output=("one", "OSError: Read-only file system"))
    unit = f"app@{A}.service"
    lines = explain("it crashed", host.systemd, unit, since=0).splitlines()
    assert lines[0] == "it crashed"
    assert lines[1].startswith("Hint: the app wrote outside")
    assert lines[2:] == [f"Last lines of {unit}:", "  OSError: Read-only file system"]


def test_only_the_last_lines_are_shown(host: FakeHost) -> None:
    host.systemd.behaviours[A] = Behaviour(output=tuple(map(str, range(100))))
    shown = explain("it crashed", host.systemd, f"app@{A}.service", since=0).splitlines()
    assert shown[2:] == [f"  {number}" for number in range(70, 100)]


def test_a_silent_app_has_no_lines(host: FakeHost) -> None:
    assert explain("it crashed", host.systemd, f"app@{A}.service", since=0).endswith("\n  (none)")


def test_an_apps_lines_cannot_steer_the_terminal_that_shows_them(host: FakeHost) -> None:
    host.systemd.behaviours[A] = Behaviour(output=("\x1b[2J\x1b]0;owned\x07", "\r::add-mask::x", "café\tok"))
    shown = explain("it crashed", host.systemd, f"app@{A}.service", since=0)
    assert shown.endswith("  ?[2J?]0;owned?\n  ?::add-mask::x\n  café\tok")


def test_lines_of_an_earlier_try_are_left_out(host: FakeHost) -> None:
    explain("it crashed", host.systemd, f"app@{A}.service", since=1795371668.25)
    assert host.systemd.journals_since == ["@1795371668.250"]


def test_a_journal_that_lags_is_waited_for(host: FakeHost) -> None:
    host.systemd.unsynced_output = ["Traceback (most recent call last):", "  import nothere", "ImportError"]
    assert explain("it crashed", host.systemd, f"app@{A}.service", since=0).endswith("  ImportError")


def test_without_an_answer_of_journald_what_the_journal_has_is_shown(host: FakeHost) -> None:
    """It gives none to an app that never falls silent."""
    host.systemd.journald_hangs = True
    host.systemd.behaviours[A] = Behaviour(output=("on and on",))
    assert explain("it crashed", host.systemd, f"app@{A}.service", since=0).endswith("  on and on")
