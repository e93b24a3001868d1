"""The app's processes besides the web server: those of a Procfile, else those of the code and of Compose together."""

import re

from slipway.controller.init.queues import QUEUES, SINGLE, Process

SCHEDULES = re.compile(r"\b(beat|scheduler|rqscheduler|periodiq)\b")
"""In the command of a process that sends what is due."""
QUEUED = re.compile(r"\s(-Q|--queues?)\b")
KNOWN = re.compile(
    rf"\b({'|'.join(name for names in QUEUES for name in names if '[' not in name)}|worker)\b|\.sh\b|^exec /"
)
"""In the command of a process that the code shows as well, if it shows any."""


def of_procfile(text: str) -> tuple[Process, ...]:
    """Return the processes that a Procfile names besides the web server's and what runs before a release."""
    lines = re.findall(r"^([A-Za-z0-9_-]+):\s*(.+)$", text, re.MULTILINE)
    return tuple(
        Process(name, command.strip(), is_single=name in SINGLE)
        for name, command in lines
        if name not in {"release", "web"}
    )


def started_by(runner: str, command: str) -> str:
    """Return a command whose program is one of a virtual environment that only a runner knows: `poetry run`."""
    before, and_then, last = command.rpartition("&& ")
    program = last.removeprefix("exec ")
    if not last or re.match(r"(poetry|uv|pdm|pipenv|sh|bash|/\S*|\./\S*)\s", program):
        return command
    return f"{before}{and_then}{'exec ' if last != program else ''}{runner} {program}"


def has_release(text: str) -> bool:
    """Tell whether a Procfile has a command that runs before a release."""
    return re.search(r"^release:\s*\S", text, re.MULTILINE) is not None


def joined(found: tuple[Process, ...], composed: tuple[Process, ...]) -> tuple[Process, ...]:
    """Return the processes that the code shows, and those of Compose that it does not.

    Workers that Compose gives queues come before one that knows the default queue alone.
    """
    if any(QUEUED.search(process.command) for process in composed):
        found = tuple(process for process in found if process.is_scheduler)
        composed = composed if not found else tuple(each for each in composed if not SCHEDULES.search(each.command))
        return found + composed
    if not found:
        return composed
    has_scheduler = any(process.is_single for process in found)
    more = (
        process
        for process in composed
        if (not has_scheduler if SCHEDULES.search(process.command) else not KNOWN.search(process.command))
    )
    return found + tuple(more)
