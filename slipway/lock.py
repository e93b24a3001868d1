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

MENDS = "recover"
MAKES_ROOM = "prune"
"""Who has the lock where it is no activation: `slipway recover`, and a shipment for which there is too little room."""


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
        f"another activation is running: {words(described)}. "
        "Wait for it (`slipway status`), then try again; `release_lock_wait` waits by itself."
    )


def words(described: dict[str, Any]) -> str:
    """Who holds it, from where and since when."""
    where = f" from {described['from']}" if described.get("from") else ""
    return (
        f"{described.get('release', 'a release')} by {described.get('by', 'somebody')}{where} "
        f"since {described.get('since', 'just now')}"
    )


@contextmanager
def held(path: Path, described: dict[str, Any], patience: float = 0) -> Iterator[None]:
    """Hold the lock. It is the kernel's: when this process dies, however it dies, the lock is free.

    `patience` in seconds: how long to wait for whoever holds it.

    Raises:
        LockedError: somebody else holds it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if not _taken(descriptor, max(patience, PATIENCE_SECONDS)):
            raise refuse(holder(path) or {})
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(described).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _taken(descriptor: int, patience: float) -> bool:
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        else:
            return True
