"""Running programs, as root or as the user whose data they read."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from slipway.backup.settings import BackupError

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SHOWN_LINES = 3


def options(user: str | None, environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return Popen's options for a program of a user. It sees nothing of this process's environment."""
    base = {"PATH": PATH, "LC_ALL": "C.UTF-8"}
    become: dict[str, Any] = {"user": user, "group": user, "extra_groups": []} if user and os.geteuid() == 0 else {}
    return {"env": base | dict(environment or {}), "cwd": "/", **become}


def run(
    command: Sequence[str | Path],
    user: str | None = None,
    *,
    text: str | None = None,
    source: IO[bytes] | None = None,
    target: IO[bytes] | None = None,
) -> str:
    """Run a program and return its output.

    Args:
        command: the program and its arguments.
        user: the user that runs it; None: the user of this process.
        text: its standard input.
        source: a file in place of `text`.
        target: where its output goes in place of being returned.

    Raises:
        BackupError: it failed; the message has the end of its error output.
    """
    words = list(map(str, command))
    feed: dict[str, Any] = {"stdin": source or subprocess.DEVNULL} if text is None else {"input": text.encode()}
    done = subprocess.run(
        words, stdout=target or subprocess.PIPE, stderr=subprocess.PIPE, check=False, **feed, **options(user)
    )
    if done.returncode:
        raise BackupError(f"{Path(words[0]).name} failed: {tail(done.stderr) or f'status {done.returncode}'}")
    return (done.stdout or b"").decode(errors="replace")


def tail(output: bytes) -> str:
    """Return the last lines of a program's error output, in one line."""
    lines = [line.strip() for line in output.decode(errors="replace").splitlines() if line.strip()]
    return "; ".join(lines[-SHOWN_LINES:])
