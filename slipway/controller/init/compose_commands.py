"""The command that a service of Compose runs, as a shell's line without what only Compose needs."""

import re
import shlex
from typing import Any

SHELL = re.compile(r"(/usr)?(/bin/)?(ba|da|a)?sh")
PREPARES = re.compile(r"^\s*(sleep|wait|\S*wait[-_]for\S*|alembic|python3? -m alembic|flask db)\b")
"""Steps before a program: Slipway migrates before any process starts, and has the data ready."""
COMPLEX = re.compile(r"[;|<>\n`]|(?<!&)&(?!&)|\$\(")
"""In a line that is no plain sequence of commands."""


def command_of(service: dict[str, Any]) -> str:
    """Return what a service runs, the entrypoint's words before the command's; empty without either."""
    words = [*_words(service.get("entrypoint")), *_words(service.get("command"))]
    if words and "wait" in words[0] and "--" in words:  # wait-for-it.sh redis:6379 -- celery ...
        words = words[words.index("--") + 1 :]
    if len(words) == 3 and SHELL.fullmatch(words[0]) and re.fullmatch(r"-\w*c", words[1]):
        line = words[2].strip().rstrip(";")
        if not COMPLEX.search(line):
            return " && ".join(step.strip() for step in line.split("&&") if not PREPARES.search(step))
    return shlex.join(words)


def executed(line: str) -> str:
    """Return a line whose last command takes the shell's place, so that a signal reaches it."""
    before, and_then, last = line.rpartition("&& ")
    return f"{before}{and_then}exec {last.removeprefix('exec ')}"


def _words(value: object) -> list[str]:
    """Return a command's words; Compose splits a text itself, and starts no shell."""
    try:
        return shlex.split(value) if isinstance(value, str) else [str(word) for word in value or ()]  # type: ignore[attr-defined]
    except (ValueError, TypeError):
        return []
