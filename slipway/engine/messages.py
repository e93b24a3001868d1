"""Read a unit's journal lines as messages: tracebacks with what was raised, and single lines."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

TRACEBACK = re.compile(r"Traceback \(most recent call last\)")
FRAME = '  File "'
CHAINED = re.compile(r"(The above exception was the direct cause|During handling of the above exception)")
UNDERLINE = re.compile(r"\s*[~^]+\s*")
"""What Python draws below a line of a traceback."""
RECORD = re.compile(
    r"[{\[]?\d{4}-\d\d-\d\d|\{|\[\d|(DEBUG|INFO|WARN(ING)?|ERROR|CRITICAL|FATAL)\b"
    r"|[\w@.-]+\.service: |(Start|Stopp)(ed|ing) "
)
"""How the next log record begins, after a message of several lines."""
TAIL = re.compile(
    r"(DETAIL|HINT|CONTEXT|LINE \d+):|\[SQL:|\[parameters:|\(Background on this error"
    r"|- couldn't import |Attempts made|\]$"
)
"""Lines that belong to the exception above: PostgreSQL's, SQLAlchemy's and psycopg's."""
MAX_CONTINUATION = 60
"""Lines that one exception's message may have: a settings class has a few dozen fields, with three lines each."""
ASIDES = (
    "KeyboardInterrupt",
    "SystemExit",
    "BrokenProcessPool",
    "CancelledError",
    "GeneratorExit",
    "HaltServer",
    "reentrant call",
    "^Message: ",
)
"""Raised because something else had failed before."""
UNIMPORTANT = re.compile(
    r"\W*(DEBUG|INFO|NOTICE|WARN(ING)?)\b|.*\[(DEBUG|INFO|NOTICE|WARN(ING)?)[\] ]"
    r"|.*\"level\": ?\"(debug|info|warn)",
    re.IGNORECASE,
)
"""A line of a level that ends no program."""


@dataclass(frozen=True)
class Message:
    """What was raised or written at once."""

    text: str
    """The exception with its own lines, or the line."""
    frames: tuple[str, ...] = ()
    """The traceback above it."""
    chained: bool = False
    """It was raised from the message before."""

    @property
    def raised(self) -> bool:
        """It is an exception that ended something."""
        return bool(self.frames) and not re.search("|".join(ASIDES), self.text.partition("\n")[0])

    @property
    def where(self) -> str:
        """The traceback as text."""
        return "\n".join(self.frames)


def read(lines: list[str]) -> list[Message]:
    """Take a unit's lines apart, in their order."""
    return list(_read(list(_unpacked(lines))))


def _unpacked(lines: list[str]) -> Iterator[str]:
    """The lines, with the traceback that a JSON record holds on lines of its own."""
    for line in lines:
        held = _traceback_in(line) if line.startswith("{") and "Traceback" in line else None
        yield from held.splitlines() if held else [line]


def _traceback_in(line: str) -> str | None:
    try:
        values = json.loads(line).values()
    except (ValueError, AttributeError):
        return None
    return next((value for value in values if isinstance(value, str) and TRACEBACK.search(value)), None)


def _read(lines: list[str]) -> Iterator[Message]:
    at, chained = 0, False
    while at < len(lines):
        line = lines[at]
        if not TRACEBACK.search(line) and not line.startswith(FRAME):  # its first lines may be cut off
            chained = chained if not line.strip() else bool(CHAINED.search(line))
            end = at + 1
            while line.strip() and end < len(lines) and lines[end][:1] in (" ", "\t", "}"):
                if lines[end].startswith(FRAME):
                    break
                end += 1
            if line.strip() and not chained:
                yield Message("\n".join(lines[at:end]))
            at = end
            continue
        end = _after_frames(lines, at)
        frames = tuple(each for each in lines[at:end] if not UNDERLINE.fullmatch(each))
        after = _after_exception(lines, end)
        yield Message("\n".join(lines[end:after]), frames, chained)
        at, chained = after, False


def _after_frames(lines: list[str], at: int) -> int:
    """The index of what was raised. Typer draws a box around the frames."""
    boxed = lines[at].lstrip().startswith("╭")
    at += 1
    while at < len(lines) and (lines[at][:1] in ("│", "╰") if boxed else lines[at][:1] in (" ", "\t", "+", "|")):
        at += 1
    return at


def _after_exception(lines: list[str], at: int) -> int:
    """The index after an exception's message. Its own lines are indented, above an indented one, or well known."""
    end = min(at + 1, len(lines))
    while end < min(len(lines), at + MAX_CONTINUATION):
        line = lines[end]
        if RECORD.match(line) or TRACEBACK.search(line) or CHAINED.search(line):
            break
        below = lines[end + 1][:1] if end + 1 < len(lines) else ""
        inside = lines[at].lstrip().endswith(":") or "[SQL:" in "\n".join(lines[at:end])
        if not (line[:1] in (" ", "\t", ")") or below in (" ", "\t") or TAIL.match(line) or inside):
            break
        end += 1
    return end


def decisive(messages: list[Message]) -> list[Message]:
    """Those that may tell why it ended, the likeliest first: what came last, down to the last exception and its chain.

    What was written before an exception was survived.
    """
    found: list[Message] = []
    wanted = False
    for message in reversed(messages):
        if found and found[-1].raised and not wanted:
            break
        if message.frames or not UNIMPORTANT.match(message.text):
            found.append(message)
        wanted = message.chained
    return found
