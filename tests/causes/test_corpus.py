"""The messages of real programs in the sandbox, and the causes found in them."""

import json
import re

import pytest

from slipway.engine.causes import error_lines, find
from slipway.engine.messages import decisive, read
from slipway.engine.rules import WORDS, Rule, known
from tests.causes.cases import CASES, MESSAGES, Case
from tests.causes.record import recording

OTHERS: list[tuple[list[str], tuple[str, ...]]] = [
    (["su-exec: setgroups(1000): Operation not permitted"], ("su-exec", "ordinary user")),
    (["listen tcp :8000: socket: address family not supported by protocol"], ("0.0.0.0:$PORT",)),
    (["listen tcp 10.1.2.3:8000: bind: cannot assign requested address"], ("10.1.2.3", "0.0.0.0:$PORT")),
    (["Error: listen EADDRINUSE: address already in use :::3000"], ("3000 already",)),
    (["dial tcp: lookup db on 127.0.0.53:53: server misbehaving"], ("app_egress",)),
    (["open /app/cache/x: read-only file system"], ("/app/cache/x", "$STATE_DIRECTORY")),
    (["Error: Read-only file system (os error 30)"], ("$STATE_DIRECTORY",)),
    (["touch: cannot touch '/app/x': Read-only file system"], ("/app/x", "$STATE_DIRECTORY")),
    (
        ["A process of this unit has been killed by the OOM killer.", "x.service: Failed with result 'oom-kill'."],
        ("app_memory_max",),
    ),
    (
        ["decouple.UndefinedValueError: SECRET_KEY not found. Declare it as envvar or define a default value."],
        ("SECRET_KEY",),
    ),
    (['FATAL:  no pg_hba.conf entry for host "10.0.0.2", user "app", database "shop", no encryption'], ("10.0.0.2",)),
    (["/usr/bin/python3: symbol lookup: /lib/libm.so.6: version `GLIBC_2.38' not found"], ("GLIBC_2.38", "base image")),
    (["x.service: Main process exited, code=dumped, status=31/SYS"], ("SystemCallFilter=",)),
    (["x.service: Main process exited, code=killed, status=7/BUS"], ("/dev/shm",)),
    (["OSError: [Errno 28] No space left on device: '/dev/shm/x'"], ("/dev/shm", "64")),
    (["OSError: [Errno 28] No space left on device: '/var/lib/app/x'"], ("/var/lib/app/x", "df -h")),
    (['FATAL:  role "shop" does not exist'], ("shop", "app_migrate")),
    (["LLVM ERROR: Unable to allocate section memory!"], ("app_allow_jit",)),
    (["Error: Cannot find module '/app/dist/server.js'"], ("/app/dist/server.js",)),
    (["env: \u2018node\u2019: No such file or directory"], ("node",)),
    (["sqlalchemy.exc.NoSuchModuleError: Can't load plugin: sqlalchemy.dialects:mysqll"], ("mysqll",)),
    (["bash: line 1: poetry: command not found"], ("poetry",)),
    (
        [
            *("Traceback (most recent call last):", '  File "/app/main.py", line 1, in <module>'),
            "ImportError: cannot import name 'get_sessions' from 'app.db' (/app/app/db.py)",
        ],
        ("/app/app/db.py has no get_sessions",),
    ),
    (
        ["ImportError: cannot import name 'x' from 'm' (/usr/local/lib/python3.13/site-packages/m.py)"],
        ("m of the image has no x", "requirements"),
    ),
    (
        [
            *("Traceback (most recent call last):", '  File "/app/a.py", line 1, in <module>'),
            "ImportError: cannot import name 'x' from partially initialized module 'app.db' (most likely due to a circular "
            "import) (/app/app/db.py)",
        ],
        ("app.db", "import each other"),
    ),
    (
        [
            *("Traceback (most recent call last):", '  File "/app/alembic/env.py", line 6, in <module>'),
            *("    from app.config import settings", "ModuleNotFoundError: No module named 'app'"),
        ],
        ("prepend_sys_path = .", "module app"),
    ),
    (
        [
            *("Traceback (most recent call last):", '  File "/app/alembic/env.py", line 6, in <module>'),
            *("    from app.config import settings", '  File "/app/app/config.py", line 1, in <module>'),
            *("    import jose", "ModuleNotFoundError: No module named 'jose'"),
        ],
        ("the image has no module jose",),
    ),
]
"""Not recorded: the same kinds by other programs, as their sources print them."""


def assert_told(case: Case, lines: list[str]) -> None:
    """The cause names what a person needs, and nothing is told twice."""
    cause = find(lines)
    advice = cause.advice if cause else ""
    assert all(need in advice for need in case.needs), f"{advice!r}\n" + "\n".join(lines[-12:])
    assert case.needs or cause is None, f"nobody can know that: {advice}"
    told = error_lines(lines, 30)
    assert all(line in told for line in case.shown), told
    raised = [line for line in told if re.match(r"[\w.]+(Error|Exception)\b", line)]
    assert len(raised) == len(set(raised)), told


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_recorded(case: Case) -> None:
    assert_told(case, case.recorded())


def test_each_recording_has_its_case() -> None:
    assert {file.name for file in MESSAGES.iterdir()} == {case.file.name for case in CASES}


@pytest.mark.slow
@pytest.mark.catalogue
def test_recorded_anew() -> None:
    with recording() as host:
        for case in CASES:
            assert_told(case, host.said_by(case))


@pytest.mark.parametrize(("lines", "needs"), OTHERS)
def test_the_same_kinds_by_other_programs(lines: list[str], needs: tuple[str, ...]) -> None:
    cause = find(["Started x.service.", *lines])
    assert cause and all(need in cause.advice for need in needs), cause


@pytest.mark.parametrize(
    "lines",
    [
        ["INFO: cache: Read-only file system: '/app/x', going on", "ERROR: the licence has expired"],
        ["[2026-11-28 05:00:00 +0000] [7] [WARNING] Operation not permitted: nice", "RuntimeError: no"],
        ["ConnectionError: the payment provider said no"],
        ["KeyError: 'price'"],
        ["Traceback (most recent call last):", '  File "/app/x.py", line 1, in f', "    d[1]", "KeyError: 1"],
        ["ValueError: 3 of 5 checks failed"],
        [],
    ],
)
def test_what_nobody_knows_gets_no_advice(lines: list[str]) -> None:
    assert find(lines) is None


def test_a_json_record_with_a_traceback_is_read() -> None:
    record = {
        "level": "ERROR",
        "exception": "Traceback (most recent call last):\n  File \"a.py\", line 1, in f\n    x\nOSError: [Errno 30] Read-only file system: '/app/uploads'",
    }
    cause = find([json.dumps(record)])
    assert cause and "app_writable: [/app/uploads]" in cause.advice


def test_a_message_that_comes_thirty_times_is_told_once() -> None:
    lines = [f"[2026-11-28 05:00:{number:02} +0000] [{number}] [ERROR] worker failed" for number in range(30)]
    assert error_lines(lines, 30) == [f"{lines[0]} (30 times)"]


@pytest.mark.parametrize("rule", WORDS, ids=lambda rule: rule.says[:40])
def test_each_rule_is_there_for_a_message(rule: Rule) -> None:
    """One without would be of no use, or hidden by one before it."""
    said = [*(case.recorded() for case in CASES), *(lines for lines, _ in OTHERS)]
    messages = (message for lines in said for message in decisive(read(lines)))
    assert any(known(message) == (cause := rule.cause(message)) and cause for message in messages)
