"""Run commands, and tell the person who waits how far a lab is."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OUTPUT_LINES = 20
"""Of a failed command, shown in the error."""


class LabError(RuntimeError):
    """A lab cannot go on; the text says why and shows the last output."""


def run(*command: str, cwd: Path = ROOT) -> str:
    """Run a command and return its standard output.

    Raises:
        LabError: it exited with another status than 0.
    """
    # stdin is closed: ssh makes an inherited one non-blocking, which Ansible refuses.
    completed = subprocess.run(
        command,
        cwd=cwd,
        env=os.environ | {"ANSIBLE_NOCOLOR": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if completed.returncode:
        output = "\n".join((completed.stdout + completed.stderr).splitlines()[-OUTPUT_LINES:])
        raise LabError(f"{shlex.join(command)[:200]} exited with status {completed.returncode}:\n{output}")
    return completed.stdout


def progress(lab: str, text: str) -> None:
    """Print one line of progress to standard error."""
    print(f"{lab}: {text}", file=sys.stderr, flush=True)
