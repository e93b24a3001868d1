"""One activation at a time: a lock that dies with its holder and says who that is."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from slipway.errors import LockedError


def holder(path: Path) -> dict[str, Any] | None:
    """Who holds the lock (by, since, release), or None when it is free."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
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
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise refuse(holder(path) or {}) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(described).encode(), 0)
        yield
    finally:
        os.close(descriptor)
