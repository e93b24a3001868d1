"""An engine that gets SIGTERM undoes its phases, whichever it is in."""

import os
import signal
from collections.abc import Iterator
from dataclasses import replace

import pytest

from slipway.engine import deploy, phases
from slipway.engine.activation import Activation
from slipway.engine.errors import Interrupted, PhaseError
from tests.engine.fakes import Behaviour, FakeHost
from tests.engine.names import A, B


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def with_signal(phase: deploy.Phase, when: str) -> deploy.Phase:
    def do(run: Activation) -> None:
        if when == "before":
            terminate()
        phase.do(run)
        terminate()

    return replace(phase, do=do)


@pytest.fixture(autouse=True)
def handler() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", [phase.name for phase in deploy.UNDOABLE])
def test_an_engine_that_is_stopped_undoes_every_phase(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch, name: str, when: str
) -> None:
    deploy.activate(host, host.ship(A))
    host.ship(B)
    host.takes_every_phase(B)
    with monkeypatch.context() as patch:
        changed = [with_signal(phase, when) if phase.name == name else phase for phase in deploy.UNDOABLE]
        patch.setattr(deploy, "UNDOABLE", tuple(changed))
        with pytest.raises(Interrupted):
            deploy.activate(host, B)
    assert host.releases.current() == host.releases.slice("live") == host.releases.slice("canary") == A
    assert host.systemd.running() == {A}
    record = host.releases.record(B)
    assert record.cause == f"{name}: the engine was stopped"
    assert (record.state, record.healthy, record.previous, record.live_at) == ("failed", False, None, None)
    host.takes_every_phase(B)
    deploy.activate(host, B)
    assert host.releases.current() == B


@pytest.mark.parametrize("name", [phase.name for phase in deploy.TIDYING])
def test_once_live_it_stays_live(host: FakeHost, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    deploy.activate(host, host.ship(A))
    changed = [with_signal(phase, "after") if phase.name == name else phase for phase in deploy.TIDYING]
    monkeypatch.setattr(deploy, "TIDYING", tuple(changed))
    deploy.activate(host, host.ship(B))
    assert host.releases.current() == B
    assert host.systemd.running() == {B}
    assert host.releases.record(B).warnings == [f"{name}: the engine was stopped"]


def test_a_second_sigterm_does_not_interrupt_the_undo(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    deploy.activate(host, host.ship(A))

    def stubborn(run: Activation) -> None:
        terminate()
        phases.point_back(run)

    changed = [replace(p, undo=stubborn) if p.name == "cutover" else p for p in deploy.UNDOABLE]
    monkeypatch.setattr(deploy, "UNDOABLE", tuple(changed))
    with pytest.raises(PhaseError, match="through nginx"):
        deploy.activate(host, host.ship(B, Behaviour(broken_when_live=True)))
    assert host.releases.slice("live") == A
    assert host.releases.record(B).warnings == []
    assert host.systemd.running() == {A}


def test_a_rollback_that_was_interrupted_can_be_repeated(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    for release in (A, B):
        deploy.activate(host, host.ship(release))
    with monkeypatch.context() as patch:
        patch.setattr(
            deploy, "UNDOABLE", [with_signal(p, "before") if p.name == "start" else p for p in deploy.UNDOABLE]
        )
        with pytest.raises(Interrupted):
            deploy.activate(host, A)
    assert host.releases.rollback_target() == A
