"""One activation at a time: a lock that dies with its holder and says who that is."""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from slipway.errors import LockedError

PATIENCE_SECONDS = 0.5
"""`holder` takes the lock for an instant to look at it, and that must not refuse an engine: only what is held for
longer does."""


def holder(path: Path) -> dict[str, Any] | None:
    """Who holds the lock (by, since, release), or None when it is free."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        try:
            described = json.loads(os.read(descriptor, 65536) or b"{}")
        except ValueError:
            described = {}
        return described if isinstance(described, dict) else {}
    else:
        return None
    finally:
        os.close(descriptor)


def refuse(described: dict[str, Any]) -> LockedError:
    """The error for whoever comes second."""
    return LockedError(
        f"another activation is running: {described.get('release', 'a release')} by "
        f"{described.get('by', 'somebody')} since {described.get('since', 'just now')}. "
        "Wait for it (`slipway status`), then try again."
    )


@contextmanager
def held(path: Path, described: dict[str, Any]) -> Iterator[None]:
    """Hold the lock. It is the kernel's: when this process dies, however it dies, the lock is free.

    Raises:
        LockedError: somebody else holds it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if not _taken(descriptor):
            raise refuse(holder(path) or {})
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(described).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _taken(descriptor: int) -> bool:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        else:
            return True
