"""Running other programs."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from slipway.model.errors import SlipwayError

SHOWN_LINES = 30
"""Of the output of a program that failed."""


PACKAGES = {"docker": "docker.io", "ssh": "openssh-client"}
"""Debian's, where the name is not the program's."""


class ProgramError(SlipwayError):
    """A program failed, or is not installed; the message has the end of its output."""


def output(*command: str) -> str:
    """Return what a program prints, without white space around it; empty if it fails or is not installed."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""


def logged(command: Sequence[str | Path], log: Path, **variables: str) -> None:
    """Run a program with its output in a file.

    Raises:
        ProgramError: it fails.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    words = [str(word) for word in command]
    try:
        with log.open("wb") as file:
            done = subprocess.run(
                words,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=os.environ | variables,
                check=False,
            )
    except OSError as error:
        raise ProgramError(f"{words[0]} cannot be run ({error.strerror}): install it.") from None
    if done.returncode:
        tail = "\n".join(_end(log.read_text(errors="replace").splitlines()))
        raise ProgramError(
            f"{tail}\n{words[0]} {words[1]} failed with status {done.returncode}. Its whole output is in {log}."
        )


def _end(lines: list[str]) -> list[str]:
    """Return the last lines; of BuildKit's output those of the step that failed: its summary has them or not."""
    failed = [match for line in lines if (match := re.match(r"#(\d+) (ERROR: .*)", line))]
    if not failed:
        return lines[-SHOWN_LINES:]
    number, error = failed[-1].groups()
    of_step = [line.removeprefix(f"#{number} ") for line in lines if line.startswith(f"#{number} ")]
    printed = [match[1] for line in of_step if (match := re.match(r"\d+\.\d+ (.*\S.*)", line))]
    return [of_step[0], *(printed or [error])[-SHOWN_LINES:]]


def as_root(command: Sequence[str]) -> list[str]:
    """Return a command that runs as root: through sudo when a person who is not root calls."""
    return list(command) if os.geteuid() == 0 else ["sudo", *command]


def require(**reasons: str) -> None:
    """Look for programs, each with what it is for.

    Raises:
        ProgramError: one is not installed.
    """
    missing = {name: reason for name, reason in reasons.items() if which(name) is None}
    if missing:
        lines = ", ".join(f"{name} ({reason})" for name, reason in missing.items())
        packages = " ".join(PACKAGES.get(name, name) for name in missing)
        raise ProgramError(f"Not installed on this machine: {lines}. On Debian: apt-get install {packages}")


def which(name: str) -> str | None:
    """Return the path of a program: one beside this Python, as Ansible's are, or the first in PATH."""
    beside = Path(sys.executable).parent / name
    if os.access(beside, os.X_OK):
        return str(beside)
    return shutil.which(name)


def progress(text: str) -> None:
    """Tell what is done now, where a person sees it and no program that reads the output."""
    print(text, file=sys.stderr, flush=True)
