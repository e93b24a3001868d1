"""Where a rollback goes: to the last release before the live one that was healthy and is still here."""

import pytest

from slipway.engine import deploy, seal
from slipway.engine.errors import PhaseError
from tests.engine.fakes import Behaviour, FakeHost
from tests.engine.names import A, B, C, D, E


def go(host: FakeHost, release: str) -> None:
    deploy.activate(host, host.ship(release))


def back(host: FakeHost, release: str | None = None) -> str:
    target = release or host.releases.rollback_target()
    assert target
    host.change(target, request={"kind": "rollback", "state": "requested"})
    deploy.activate(host, target)
    assert host.releases.current() == target
    return target


@pytest.fixture
def three(host: FakeHost) -> FakeHost:
    for release in (A, B, C):
        go(host, release)
    return host


def test_from_the_first_release_there_is_nowhere_to_go(host: FakeHost) -> None:
    assert host.releases.rollback_target() is None
    go(host, A)
    assert host.releases.rollback_target() is None


def test_two_rollbacks_go_two_releases_back(three: FakeHost) -> None:
    assert [back(three), back(three)] == [B, A]
    assert three.releases.rollback_target() is None


def test_after_a_rollback_the_next_deploy_goes_back_to_what_it_replaced(three: FakeHost) -> None:
    back(three)
    go(three, D)
    assert [back(three), back(three)] == [B, A]


def test_one_that_was_rolled_back_from_can_be_deployed_again(three: FakeHost) -> None:
    back(three)
    three.change(C, request={"kind": "deploy", "state": "requested"})
    deploy.activate(three, C)
    assert three.releases.rollback_target() == B


def test_a_named_release_may_be_any_that_was_healthy(three: FakeHost) -> None:
    back(three, A)
    go(three, D)
    assert three.releases.rollback_target() == A


def test_a_failed_release_is_never_the_target(three: FakeHost) -> None:
    with pytest.raises(PhaseError):
        deploy.activate(three, three.ship(D, Behaviour(crashes=True)))
    assert three.releases.rollback_target() == B
    go(three, E)
    assert three.releases.rollback_target() == C


def test_one_that_is_not_healthy_any_more_is_skipped(three: FakeHost) -> None:
    three.change(B, healthy=False)
    assert three.releases.rollback_target() == A


def test_one_whose_files_are_gone_is_no_target(three: FakeHost) -> None:
    three.releases.forget(B)
    seal.remove(three.releases, B)
    assert three.releases.rollback_target() is None


def test_one_whose_record_is_damaged_is_no_target(three: FakeHost) -> None:
    (three.releases.folder / f"{B}.json").write_text("{")
    assert three.releases.rollback_target() is None


def test_releases_that_name_each_other_do_not_hang_it(three: FakeHost) -> None:
    three.change(A, previous=C, healthy=False)
    three.change(B, healthy=False)
    assert three.releases.rollback_target() is None
