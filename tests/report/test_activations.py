"""Deploys and rollbacks by the audit, and the release of each slice at any moment."""

from typing import Any

import pytest

from slipway.report import activations
from tests.report.conftest import DEPLOY, FAILED, NEW, OLD


def test_phases_are_laid_one_after_the_other() -> None:
    (found,) = activations.read([DEPLOY])
    assert found.ended_at - found.started_at == 30
    assert [(phase.name, phase.at - found.started_at) for phase in found.phases][2:4] == [
        ("watch-canary", 4),
        ("cutover", 14),
    ]


@pytest.mark.parametrize(
    ("entry", "releases"),
    [
        (DEPLOY, [(OLD, OLD), (OLD, NEW), (NEW, OLD), (NEW, NEW), (NEW, NEW)]),
        (FAILED, [(OLD, OLD), (OLD, NEW), (OLD, OLD)]),
        (FAILED | {"ended": "refused"}, [(OLD, OLD), (OLD, OLD)]),
        (FAILED | {"ended": "killed", "seconds": None}, [(OLD, OLD), (OLD, NEW), (OLD, OLD)]),
    ],
)
def test_the_slices_follow_and_end_at_what_was_live_then(
    entry: dict[str, Any], releases: list[tuple[str, str]]
) -> None:
    changes = activations.changes(activations.read([entry]), NEW)
    assert [(change.live, change.canary) for change in changes] == releases
    assert [change.at for change in changes] == sorted(change.at for change in changes)


def test_without_a_deploy_all_is_the_live_releases() -> None:
    assert [(change.live, change.canary) for change in activations.changes([], NEW)] == [(NEW, NEW)]


@pytest.mark.parametrize(
    "damaged",
    [
        {},
        {"what": "run"},
        DEPLOY | {"at": "x"},
        DEPLOY | {"at": 3},
        DEPLOY | {"phases": [1]},
        DEPLOY | {"seconds": "x"},
    ],
)
def test_a_damaged_entry_is_left_out(damaged: dict[str, Any]) -> None:
    assert len(activations.read([DEPLOY, damaged])) == 1
