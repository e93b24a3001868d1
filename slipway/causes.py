"""Why a release failed, in words: what was asked and answered, what the app said last, what to change."""

import re
import time
from collections.abc import Iterable

from slipway.systemd import Systemd

QUIET_SECONDS = 0.5
MOST_SECONDS = 5.0
MOST_LINES = 200
TRACEBACK_LINES = 9

SOCKET_ADVICE = (
    "let it serve on the socket that it is handed: start uvicorn with --fd 3; gunicorn takes it by itself "
    "(LISTEN_FDS) if the image's command becomes gunicorn, so start it with `exec` in a script"
)
"""For an app that nobody reaches, or that tried to listen by itself."""

SERIOUS = re.compile(r"\b(ERROR|CRITICAL|FATAL)\b|Error\b|Exception\b")

UNDERLINE = re.compile(r"\s*[~^]+\s*")
"""What Python draws below a line of a traceback."""

HINTS: tuple[tuple[str, str], ...] = (
    (
        # Before the addresses that it may not use: asyncio's words, and gunicorn's place, for a socket to listen on.
        r"could not bind on any address|error while attempting to bind|in create_sockets",
        f"the app opened a listening socket, and it may not listen by itself: {SOCKET_ADVICE}",
    ),
    (
        r"Temporary failure in name resolution|EAI_AGAIN|Name or service not known",
        "the app looked up a name, and what it may reach is `app_egress`: set it to host, networks or internet",
    ),
    (
        r"Read-only file system|EROFS",
        "the app wrote outside of its state: it may write to $STATE_DIRECTORY and /tmp only",
    ),
    (
        r"Address family not supported|Network is unreachable|EAFNOSUPPORT",
        "the app opened a network connection, and what it may reach is `app_egress`: "
        "set it to host, networks or internet",
    ),
    (
        r"status=31/SYS|SIGSYS|Bad system call",
        "the sandbox forbids a system call that the app made: "
        "allow it with SystemCallFilter= in a drop-in 50-site.conf",
    ),
    (
        r"cannot enable executable|mprotect|failed to map segment|Cannot allocate executable memory",
        "the app makes memory executable, as a JIT does: set `app_allow_jit: true`",
    ),
    (
        r"memfd_create|Permission denied: '?(/tmp|/var/tmp|/var/lib/app)/",
        "the app runs what it wrote itself: set `app_allow_jit: true`, or have it in the image",
    ),
    (
        r"Operation not permitted|EPERM",
        "the sandbox forbids what the app tried: docs/contract.md lists what it may do",
    ),
)
"""What a sandbox's refusal looks like from inside, and the setting that allows it."""


def hint(lines: Iterable[str]) -> str | None:
    """The setting to change, if the lines show that the sandbox forbade something."""
    text = "\n".join(lines)
    return next((advice for pattern, advice in HINTS if re.search(pattern, text)), None)


def explain(what: str, systemd: Systemd, unit: str, since: float, lines: int = 30) -> str:
    """A cause: what went wrong, the setting that would help, and what the unit said last.

    `since` is a time in epoch seconds; lines before it belong to another try.
    """
    said = last_words(systemd, unit, MOST_LINES, since)
    parts = [what]
    if advice := hint(said):
        parts.append(f"Hint: {advice}.")
    parts.append(f"Last lines of {unit}:")
    parts.extend(f"  {line}" for line in telling(said, lines) or ["(none)"])
    return printable("\n".join(parts))


def telling(said: list[str], most: int) -> list[str]:
    """The lines that tell most: errors and the ends of tracebacks; where there are none, the last lines."""
    told: list[str] = []
    traceback: list[str] = []
    for line in said:
        if line.startswith("Traceback "):
            traceback = [line]
        elif traceback and line.startswith(" "):
            traceback.append(line)
        elif traceback:
            # What was raised stands at the end.
            told += [line for line in [*traceback, line] if not UNDERLINE.fullmatch(line)][-TRACEBACK_LINES:]
            traceback = []
        elif SERIOUS.search(line):
            told.append(line)
    return (told + traceback[-TRACEBACK_LINES:])[-most:] or said[-most:]


def last_words(systemd: Systemd, unit: str, lines: int, since: float) -> list[str]:
    """What a unit said last, once nothing more comes: the journal is written a moment after the unit has ended."""
    deadline = time.monotonic() + MOST_SECONDS
    said = systemd.journal(unit, lines, since=f"@{since:.3f}")
    quiet_since = time.monotonic()
    while time.monotonic() < min(deadline, quiet_since + QUIET_SECONDS):
        time.sleep(QUIET_SECONDS / 5)
        if (more := systemd.journal(unit, lines, since=f"@{since:.3f}")) != said:
            said, quiet_since = more, time.monotonic()
    return said


def printable(text: str) -> str:
    """The text without what would steer the terminal or the CI log that it is shown in."""
    return "".join(letter if letter.isprintable() or letter in "\n\t" else "?" for letter in text)
