"""The decision on a release that several hosts deploy: the way from the controller to the engine that holds it."""

from pathlib import Path

from slipway.engine.durable import write_atomically
from slipway.engine.host import Host

CONFIRMED = "confirmed"


def _path(host: Host, release: str) -> Path:
    return host.releases.folder / f".{release}.decision"


def confirm(host: Host, release: str) -> None:
    """Let the engine keep the release."""
    write_atomically(_path(host, release), CONFIRMED)


def withdraw(host: Host, release: str, reason: str) -> None:
    """Write down why the deploy is aborted; stopping the engine aborts it."""
    write_atomically(_path(host, release), f"withdrawn: {reason}")


def confirmed(host: Host, release: str) -> bool:
    """Whether the engine may keep the release."""
    return _read(host, release) == CONFIRMED


def reason(host: Host, release: str) -> str:
    """Why the engine is stopped."""
    return _read(host, release).partition("withdrawn: ")[2] or "the engine was stopped"


def forget(host: Host, release: str) -> None:
    """Remove the decision on an earlier activation."""
    _path(host, release).unlink(missing_ok=True)


def _read(host: Host, release: str) -> str:
    try:
        return _path(host, release).read_text()
    except FileNotFoundError:
        return ""
