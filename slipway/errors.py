"""Errors that end a command."""


class SlipwayError(Exception):
    """Something a person can act on: the message names the value, the rule and what to type next."""


class UsageError(SlipwayError):
    """The command was called in a way that can never work (exit status 2)."""


class LockedError(SlipwayError):
    """Another engine holds the lock."""


class PhaseError(SlipwayError):
    """A phase of an activation failed; the message is the cause, with what the app and systemd said last."""


class Interrupted(SlipwayError):
    """The engine was asked to stop (SIGTERM) in the middle of an activation."""
