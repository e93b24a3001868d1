"""An engine that is asked to stop (SIGTERM) takes back what it began, in whatever phase it is."""

import os
import signal
from collections.abc import Iterator

import pytest

from slipway import deploy
from slipway.errors import Interrupted, PhaseError
from tests.engine.fakes import Behaviour, FakeHost
from tests.engine.names import A, B


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def with_signal(phase: deploy.Phase, when: str) -> deploy.Phase:
    def do(run: deploy.Activation) -> None:
        if when == "before":
            terminate()
        phase.do(run)
        terminate()

    return deploy.Phase(phase.name, do, phase.undo)


@pytest.fixture(autouse=True)
def handler() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", [phase.name for phase in deploy.UNDOABLE])
def test_it_is_taken_back_from_every_phase(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch, name: str, when: str
) -> None:
    deploy.activate(host, host.ship(A))
    host.ship(B)
    host.has_migrations(B)
    with monkeypatch.context() as patch:
        phases = [with_signal(phase, when) if phase.name == name else phase for phase in deploy.UNDOABLE]
        patch.setattr(deploy, "UNDOABLE", tuple(phases))
        with pytest.raises(Interrupted):
            deploy.activate(host, B)
    assert host.releases.current() == host.releases.slice("live") == host.releases.slice("canary") == A
    assert host.systemd.running() == {A}
    record = host.releases.record(B)
    assert record.cause == f"{name}: the engine was asked to stop"
    assert (record.state, record.healthy, record.previous, record.live_at) == ("failed", False, None, None)
    deploy.activate(host, B)
    assert host.releases.current() == B


@pytest.mark.parametrize("name", [phase.name for phase in deploy.TIDYING])
def test_once_live_it_stays_live(host: FakeHost, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    deploy.activate(host, host.ship(A))
    phases = [with_signal(phase, "after") if phase.name == name else phase for phase in deploy.TIDYING]
    monkeypatch.setattr(deploy, "TIDYING", tuple(phases))
    deploy.activate(host, host.ship(B))
    assert host.releases.current() == B
    assert host.systemd.running() == {B}
    assert host.releases.record(B).warnings == [f"{name}: the engine was asked to stop"]


def test_a_second_request_to_stop_does_not_interrupt_the_taking_back(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy.activate(host, host.ship(A))

    def stubborn(run: deploy.Activation) -> None:
        terminate()
        deploy.point_back(run)

    phases = [deploy.Phase(p.name, p.do, stubborn) if p.name == "cutover" else p for p in deploy.UNDOABLE]
    monkeypatch.setattr(deploy, "UNDOABLE", tuple(phases))
    with pytest.raises(PhaseError, match="through nginx"):
        deploy.activate(host, host.ship(B, Behaviour(broken_when_live=True)))
    assert host.releases.slice("live") == A
    assert host.releases.record(B).warnings == []
    assert host.systemd.running() == {A}


def test_a_rollback_that_was_interrupted_can_be_asked_for_again(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    for release in (A, B):
        deploy.activate(host, host.ship(release))
    with monkeypatch.context() as patch:
        patch.setattr(deploy, "UNDOABLE", (with_signal(deploy.UNDOABLE[0], "before"), *deploy.UNDOABLE[1:]))
        with pytest.raises(Interrupted):
            deploy.activate(host, A)
    assert host.releases.rollback_target() == A
