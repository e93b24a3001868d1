"""States of a release and of an activation, and which of them follows which."""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from slipway.model.errors import TransitionError


class ReleaseState(StrEnum):
    """What has become of a release."""

    SHIPPED = "shipped"
    ACTIVATING = "activating"
    LIVE = "live"
    RETIRED = "retired"
    FAILED = "failed"


class ActivationState(StrEnum):
    """How far an activation is that was requested."""

    REQUESTED = "requested"
    RUNNING = "running"
    HELD = "held"
    """It has all traffic and waits to be confirmed."""
    LIVE = "live"
    """It stays; the old release is still being retired."""
    DONE = "done"
    FAILED = "failed"

    @property
    def ended(self) -> bool:
        """Whether no engine works on it any more."""
        return self in {ActivationState.DONE, ActivationState.FAILED}

    @property
    def begun(self) -> bool:
        """Whether an engine works on it, or did until it was killed."""
        return not self.ended and self is not ActivationState.REQUESTED


class Kind(StrEnum):
    """What an activation is for."""

    DEPLOY = "deploy"
    ROLLBACK = "rollback"


STAYED = (ActivationState.DONE, ActivationState.LIVE)
"""How an activation ends, in the audit, whose release stays; others end as `failed`, `refused` or `killed`."""

State = TypeVar("State", ReleaseState, ActivationState)

RELEASE_TRANSITIONS: Mapping[ReleaseState, frozenset[ReleaseState]] = {
    ReleaseState.SHIPPED: frozenset({ReleaseState.ACTIVATING}),
    ReleaseState.ACTIVATING: frozenset({ReleaseState.LIVE, ReleaseState.FAILED}),
    # FAILED: interrupted in the last phase that is undone.
    ReleaseState.LIVE: frozenset({ReleaseState.RETIRED, ReleaseState.FAILED}),
    # LIVE and RETIRED: the link `current` outranks the record, which may have been lost; `recover` follows the link.
    ReleaseState.RETIRED: frozenset({ReleaseState.ACTIVATING, ReleaseState.LIVE}),
    ReleaseState.FAILED: frozenset({ReleaseState.ACTIVATING, ReleaseState.LIVE, ReleaseState.RETIRED}),
}

ACTIVATION_TRANSITIONS: Mapping[ActivationState, frozenset[ActivationState]] = {
    # DONE: the release is live already. FAILED: another engine holds the lock, or it was stopped in the queue.
    ActivationState.REQUESTED: frozenset({ActivationState.RUNNING, ActivationState.DONE, ActivationState.FAILED}),
    # DONE from RUNNING and HELD: `recover` closes what a killed engine left, and its release is the live one.
    ActivationState.RUNNING: frozenset(
        {ActivationState.HELD, ActivationState.LIVE, ActivationState.DONE, ActivationState.FAILED}
    ),
    ActivationState.HELD: frozenset({ActivationState.LIVE, ActivationState.DONE, ActivationState.FAILED}),
    ActivationState.LIVE: frozenset({ActivationState.DONE, ActivationState.FAILED}),
    # A new request begins a new activation.
    ActivationState.DONE: frozenset(),
    ActivationState.FAILED: frozenset(),
}


def follow(what: str, old: State, new: State, allowed: Mapping[State, frozenset[State]]) -> State:
    """Return `new` if it may follow `old`, or is the same.

    Raises:
        TransitionError: it may not.
    """
    if new is not old and new not in allowed[old]:
        raise TransitionError(f"{what} is {old} and cannot become {new}: after {old} comes {_list(allowed[old])}")
    return new


def _list(states: frozenset[State]) -> str:
    return " or ".join(sorted(states)) or "nothing"
