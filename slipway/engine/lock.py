"""One activation at a time: a lock that dies with its holder and names it."""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from slipway.engine.errors import LockedError

MIN_TIMEOUT_SECONDS = 0.5
"""`holder` takes the lock for an instant to look at it, and that must not refuse an engine: only a lock that is held
for longer does."""


class Purpose(StrEnum):
    """What the lock is held for."""

    ACTIVATE = "activate"
    RECOVER = "recover"
    PRUNE = "prune"
    """A shipment removes old releases, since it has too little room."""
    SCALE = "scale"
    RESTART = "restart"


WORDS = {
    Purpose.RECOVER: "a recovery",
    Purpose.PRUNE: "a pruning",
    Purpose.SCALE: "a scaling",
    Purpose.RESTART: "a restart",
}
"""What people read of a holder that is no activation."""
KEYS = {"origin": "from"}
"""Fields of a holder that have another name in the lock's file."""


@dataclass(frozen=True)
class Holder:
    """Who holds the lock; nothing but its purpose is known of one that has not written it down yet."""

    purpose: Purpose = Purpose.ACTIVATE
    release: str | None = None
    """The release that is activated."""
    by: str | None = None
    origin: str | None = None
    """The address that the request came from; None on the host itself."""
    since: str | None = None

    def __str__(self) -> str:
        origin = f" from {self.origin}" if self.origin else ""
        what = WORDS.get(self.purpose, self.release or "a release")
        return f"{what} by {self.by or 'somebody'}{origin} since {self.since or 'just now'}"

    @classmethod
    def from_json(cls, document: Any) -> Self:
        """Read what a holder wrote; engines before 0.9 wrote the purpose in place of the release."""
        if not isinstance(document, dict):
            return cls()
        release, stated = document.get("release"), document.get("purpose")
        purpose = next((each for each in Purpose if each in {stated, release}), Purpose.ACTIVATE)
        return cls(
            purpose=purpose,
            release=None if release == purpose else release,
            by=document.get("by"),
            origin=document.get(KEYS["origin"]),
            since=document.get("since"),
        )

    def to_json(self) -> dict[str, Any]:
        """The document that `from_json` reads."""
        return {KEYS.get(name, name): value for name, value in asdict(self).items()}


def holder(path: Path) -> Holder | None:
    """Who holds the lock, or None when it is free."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        try:
            return Holder.from_json(json.loads(os.read(descriptor, 65536) or b"{}"))
        except ValueError:
            return Holder()
    else:
        return None
    finally:
        os.close(descriptor)


def locked_error(holder: Holder) -> LockedError:
    """The error for the engine that comes second."""
    return LockedError(
        f"another activation is running: {holder}. "
        "Wait for it (`slipway status`), then try again; `release_lock_wait` waits by itself."
    )


@contextmanager
def held(path: Path, owner: Holder, timeout: float = 0) -> Iterator[None]:
    """Hold the lock. It is the kernel's: when this process dies, however it dies, the lock is free.

    `timeout` in seconds: how long to wait while another engine holds it.

    Raises:
        LockedError: another engine held it all the time.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if not _acquired(descriptor, max(timeout, MIN_TIMEOUT_SECONDS)):
            raise locked_error(holder(path) or Holder())
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(owner.to_json()).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _acquired(descriptor: int, timeout: float) -> bool:
    deadline = time.monotonic() + timeout
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        else:
            return True
