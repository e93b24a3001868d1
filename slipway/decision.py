"""What whoever deploys to several hosts has decided of a release: the way from them to the engine that holds it."""

from pathlib import Path

from slipway.host import Host
from slipway.releases import write_atomically

CONFIRMED = "confirmed"


def _path(host: Host, release: str) -> Path:
    return host.releases.folder / f".{release}.decision"


def confirm(host: Host, release: str) -> None:
    """Let the engine keep the release."""
    write_atomically(_path(host, release), CONFIRMED)


def withdraw(host: Host, release: str, reason: str) -> None:
    """Say why the release is taken back; stopping the engine is what does it."""
    write_atomically(_path(host, release), f"withdrawn: {reason}")


def confirmed(host: Host, release: str) -> bool:
    """Whether the engine may keep the release."""
    return _read(host, release) == CONFIRMED


def reason(host: Host, release: str) -> str:
    """Why the engine was asked to stop."""
    return _read(host, release).partition("withdrawn: ")[2] or "the engine was asked to stop"


def forget(host: Host, release: str) -> None:
    """Remove what was decided of an earlier activation."""
    _path(host, release).unlink(missing_ok=True)


def _read(host: Host, release: str) -> str:
    try:
        return _path(host, release).read_text()
    except FileNotFoundError:
        return ""
