"""Why a release failed, in words: the request and its response, the app's last lines, the setting to change."""

import re
from collections.abc import Iterable

from slipway.engine.cause import SOCKET_ADVICE, Cause
from slipway.engine.crashes import memory_advice, variable
from slipway.engine.messages import Message, decisive, read
from slipway.engine.rules import GENERAL, known
from slipway.engine.systemd import Systemd, UnitState

SYNC_SECONDS = 5.0
MAX_LINES = 200
TRACEBACK_LINES = 9

__all__ = ["SOCKET_ADVICE", "Cause", "error_lines", "explain", "find", "hint", "last_lines", "printable", "written"]

ERROR_LINE = re.compile(r"\b(ERROR|CRITICAL|FATAL)\b|Error\b|Exception\b")

CHANGING = re.compile(
    r"\d{4}-\d\d-\d\d[ T][\d:.,]+( ?[+-]\d\d:?\d\d|Z)?|\[\d+\]|\bpid[:= ]+\d+|0x[0-9a-f]+", re.IGNORECASE
)
"""What makes two messages of the same words differ: times, process ids, addresses."""


def find(lines: Iterable[str]) -> Cause | None:
    """Why a program ended, from its lines; None if nobody knows."""
    messages = decisive(read(list(lines)))
    causes = (cause for message in messages if (cause := known(message)))
    general = (cause for message in messages for rule in GENERAL if (cause := rule.cause(message)))
    return next(causes, None) or next(general, None)


def hint(lines: Iterable[str]) -> str | None:
    """What to change, if the lines show why the program ended."""
    cause = find(lines)
    return cause.advice if cause else None


def explain(
    what: str, systemd: Systemd, unit: str, since: float, lines: int = 30, crashed: UnitState | None = None
) -> str:
    """A cause: what went wrong, the setting that would help, and the last lines of the unit.

    `since` is a time in epoch seconds; lines before it belong to another activation. `crashed`: the state of a
    unit that ended by itself.
    """
    output = last_lines(systemd, unit, MAX_LINES, since)
    crashes = systemd.crashes(unit, since)
    if crashed and (ending := crashes.ending or crashed.ending):
        what += f" ({ending})"
    if crashes.kills:
        # By what systemd logged: a busy app's own lines may be all that `output` has.
        limit = systemd.memory_max(unit)
        head, *more = what.splitlines()
        what = "\n".join([f"{head}: out of memory ({variable(unit)}: {limit})", *more])
        advice: str | None = memory_advice(unit, limit)
    else:
        advice = hint(output)
    return written(what, advice, unit, error_lines(output, lines))


def written(what: str, advice: str | None, source: str, lines: list[str]) -> str:
    """A cause as text: what went wrong, the setting that would help, and the last lines of a unit or a pod."""
    parts = [what]
    if advice:
        parts.append(f"Hint: {advice}.")
    parts.append(f"Last lines of {source}:" if advice else f"No known cause; the last lines of {source} were:")
    parts.extend(f"  {line}" for line in lines or ["(none)"])
    return printable("\n".join(parts))


def error_lines(output: list[str], count: int) -> list[str]:
    """Errors and the ends of tracebacks, `count` lines at most; where there are none, the last lines.

    A message that repeats stands there once, with its number.
    """
    errors = [message for message in read(output) if message.frames or ERROR_LINE.search(message.text)]
    found = _lines(errors)
    if len(found) > count:
        # Exceptions that followed from another one go first.
        found = _lines([message for message in errors if message.raised or not message.frames]) or found
    return found[-count:] or output[-count:]


def _lines(messages: list[Message]) -> list[str]:
    return [line for message, times in counted(messages) for line in shown(message, times)]


def counted(messages: list[Message]) -> list[tuple[Message, int]]:
    """Each message where it came first, and how often it came."""
    found: dict[str, tuple[Message, int]] = {}
    for message in messages:
        key = CHANGING.sub("", message.text)
        first, times = found.get(key, (message, 0))
        found[key] = (first, times + 1)
    return list(found.values())


def shown(message: Message, times: int) -> list[str]:
    """A message's lines. Of a traceback its end: what was raised stands there."""
    exception = message.text.splitlines()
    lines = [*message.frames, *exception][-max(TRACEBACK_LINES, len(exception)) :]
    return [*lines[:-1], f"{lines[-1]} ({times} times)"] if times > 1 and lines else lines


def last_lines(systemd: Systemd, unit: str, lines: int, since: float) -> list[str]:
    """The last lines of a unit, with those that the journal did not have yet when it ended."""
    systemd.sync_journals(unit, SYNC_SECONDS)
    return systemd.journal(unit, lines, since=f"@{since:.3f}")


def printable(text: str) -> str:
    """The text without what would steer the terminal or the CI log that it is shown in."""
    return "".join(letter if letter.isprintable() or letter in "\n\t" else "?" for letter in text)
