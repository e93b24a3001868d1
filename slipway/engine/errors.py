"""Errors that end a command of the engine."""

from slipway.model.errors import SlipwayError


class LockedError(SlipwayError):
    """Another engine holds the lock."""


class SystemdError(SlipwayError):
    """systemctl failed; the message is its error output."""

    @property
    def summary(self) -> str:
        """The first line of the message: systemctl adds where to look further."""
        return str(self).partition("\n")[0]


class PhaseError(SlipwayError):
    """A phase of an activation failed; the message is the cause, with the last lines of the app and of systemd."""


class Interrupted(SlipwayError):
    """SIGTERM ended the engine in the middle of an activation."""
