"""States of releases and activations: every transition that the table does not have raises."""

from itertools import product

import pytest

from slipway.model.errors import TransitionError
from slipway.model.record import Record, Request
from slipway.model.states import ACTIVATION_TRANSITIONS, RELEASE_TRANSITIONS, ActivationState, ReleaseState
from tests.engine.names import A


@pytest.mark.parametrize(("old", "new"), list(product(ReleaseState, repeat=2)))
def test_a_release_changes_its_state_by_the_table(old: ReleaseState, new: ReleaseState) -> None:
    record = Record(release=A, state=old)
    if old is new or new in RELEASE_TRANSITIONS[old]:
        record.become(new)
        assert record.state is new
    else:
        with pytest.raises(TransitionError, match=f"release {A} is {old} and cannot become {new}: after {old} comes"):
            record.become(new)
        assert record.state is old


@pytest.mark.parametrize(("old", "new"), list(product(ActivationState, repeat=2)))
def test_an_activation_changes_its_state_by_the_table(old: ActivationState, new: ActivationState) -> None:
    record = Record(release=A, request=Request(by="alice", state=old))
    if old is new or new in ACTIVATION_TRANSITIONS[old]:
        record.advance(new)
        assert record.activation is new
        assert record.by == "alice"
    else:
        with pytest.raises(TransitionError, match=f"the activation of {A} is {old} and cannot become {new}"):
            record.advance(new)
        assert record.activation is old


def test_the_tables_name_every_state() -> None:
    assert set(RELEASE_TRANSITIONS) == set(ReleaseState)
    assert set(ACTIVATION_TRANSITIONS) == set(ActivationState)


@pytest.mark.parametrize(
    ("old", "new"),
    [("shipped", "live"), ("shipped", "retired"), ("live", "activating"), ("retired", "failed"), ("failed", "shipped")],
)
def test_no_release_becomes_live_or_leaves_it_without_an_activation(old: str, new: str) -> None:
    assert ReleaseState(new) not in RELEASE_TRANSITIONS[ReleaseState(old)]


def test_an_activation_that_ended_begins_anew_and_one_that_runs_goes_on() -> None:
    for state in ActivationState:
        record = Record(release=A, request=Request(by="alice", hold=5, state=state))
        record.reopen()
        assert record.activation is (ActivationState.REQUESTED if state.ended else state)
        assert record.request
        assert record.request.hold == 5
    record = Record(release=A, shipped_by="bob")
    record.reopen()
    assert record.request == Request(by="bob")
