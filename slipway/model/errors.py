"""Errors that a person can act on."""


class SlipwayError(Exception):
    """The message names the value, the rule that it breaks and what to type next."""


class UsageError(SlipwayError):
    """The command was called in a way that can never work (exit status 2)."""


class TransitionError(SlipwayError):
    """A release or an activation was to change into a state that does not follow from the one it is in."""
