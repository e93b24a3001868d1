"""Activations that fail are aborted: their phases are undone, and the old release never stops serving."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from slipway.engine import deploy, phases
from slipway.engine.activation import Activation
from slipway.engine.errors import PhaseError
from tests.engine.fakes import Behaviour, FakeHost
from tests.engine.names import A, B

FAILURES = {
    "migrate": Behaviour(migration="fails", output=("relation does not exist",)),
    "start": Behaviour(start_error="Job failed\nSee systemctl status", output=("No module named app",)),
    "crash": Behaviour(crashes=True, output=("ImportError: x",)),
    "never ready": Behaviour(not_ready_for=10**9, output=("waiting for the database",)),
    "never answers": Behaviour(answers=False, output=("a bound address",)),
    "other version": Behaviour(reports=A, output=("started",)),
    "broken under traffic": Behaviour(broken_when_live=True, output=("KeyError: 'user'",)),
}
CAUSES = {
    "migrate": "migrate: the migrations failed (Job failed)",
    "start": "start: the web server did not start (Job failed)",
    "crash": "probe: the web server crashed while starting (exit status 3)",
    "never ready": 'probe: not ready within 0.3 s; last response to GET /readyz: 503 {"error": "warming up"}',
    "never answers": "probe: not ready within 0.3 s; last response to GET /readyz: no answer within",
    "other version": f"probe: GET /version reports release '{A}', not {B}: its `release` must be $SLIPWAY_RELEASE",
    "broken under traffic": "probe-front: through nginx, the last response to GET /readyz (Host: localhost): 500",
}


@pytest.fixture
def live(host: FakeHost) -> Iterator[FakeHost]:
    """A host on which A is live; at the end its web server must never have been stopped."""
    deploy.activate(host, host.ship(A))
    yield host
    assert not [call for call in host.systemd.calls if call.startswith("stop app@") and A in call]
    assert host.releases.current() == host.releases.slice("live") == host.releases.slice("canary") == A
    assert host.systemd.running() == {A}
    assert host.front.get("", "/readyz", "").good


@pytest.mark.parametrize("failure", FAILURES)
def test_a_broken_release_is_aborted_with_its_cause(live: FakeHost, failure: str) -> None:
    live.ship(B, FAILURES[failure])
    live.has_migrations(B)
    with pytest.raises(PhaseError) as raised:
        deploy.activate(live, B)
    record = live.releases.record(B)
    assert record.cause
    assert record.cause.startswith(CAUSES[failure])
    assert record.cause.endswith(f"  {FAILURES[failure].output[-1]}")
    assert record.cause.endswith(str(raised.value))
    assert (record.state, record.healthy, record.phase) == ("failed", False, None)
    assert record.activation == "failed"
    assert live.releases.rollback_target() is None


@pytest.mark.parametrize("failure", FAILURES)
def test_the_first_release_ever_leaves_nothing_behind_when_it_fails(host: FakeHost, failure: str) -> None:
    host.ship(B, FAILURES[failure])
    host.has_migrations(B)
    with pytest.raises(PhaseError):
        deploy.activate(host, B)
    assert host.releases.current() is host.releases.slice("live") is host.releases.slice("canary") is None
    assert host.systemd.running() == set()


def test_phases_are_undone_in_reverse_order(live: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    def watched(phase: deploy.Phase) -> deploy.Phase:
        def undo(run: Activation) -> None:
            done.append(phase.name)
            if phase.undo:
                phase.undo(run)

        return replace(phase, undo=undo)

    def fail(_run: Activation) -> None:
        raise PhaseError("no")

    changed = [watched(phase) for phase in deploy.UNDOABLE]
    monkeypatch.setattr(deploy, "UNDOABLE", (*changed, deploy.Phase("after", fail)))
    live.ship(B)
    live.takes_every_phase(B)
    with pytest.raises(PhaseError):
        deploy.activate(live, B)
    assert done == [phase.name for phase in reversed(changed)]


def test_traffic_is_back_before_the_new_release_stops(live: FakeHost) -> None:
    pointed: dict[str, str | None] = {}
    live.systemd.before_call = lambda call: pointed.update({call: live.releases.slice("live")})
    with pytest.raises(PhaseError):
        deploy.activate(live, live.ship(B, FAILURES["broken under traffic"]))
    assert pointed[f"stop app@{B}.service"] == A


def test_an_undo_that_fails_does_not_keep_the_others_from_running(
    live: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_drain(*_given: object, **_more: object) -> None:
        raise OSError("ss is not here")

    monkeypatch.setattr(phases, "drain", no_drain)
    with pytest.raises(PhaseError):
        deploy.activate(live, live.ship(B, FAILURES["broken under traffic"]))
    assert live.releases.record(B).warnings == ["undo cutover: ss is not here"]


def test_the_cause_of_an_unused_socket_names_the_fix(live: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phases, "queue_length", lambda _path: 1)
    with pytest.raises(PhaseError, match="LISTEN_FDS"):
        deploy.activate(live, live.ship(B, Behaviour(answers=False)))


def test_migrations_that_outlive_the_deploy_are_stopped(live: FakeHost) -> None:
    live.ship(B, Behaviour(migration="hangs"))
    live.has_migrations(B)
    with pytest.raises(PhaseError):
        deploy.activate(live, B)
    assert live.systemd.loaded("migrate@*.service") == []


def test_a_full_disk_aborts_the_release(live: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    live.ship(B)
    full = OSError(28, "No space left on device")

    def no_space(*_given: object) -> None:
        raise full

    def start(run: Activation) -> None:
        phases.start(run)
        monkeypatch.setattr("slipway.engine.releases.write_atomically", no_space)

    changed = [deploy.Phase("start", start, phases.stop) if p.name == "start" else p for p in deploy.UNDOABLE]
    monkeypatch.setattr(deploy, "UNDOABLE", tuple(changed))
    with pytest.raises(OSError, match="No space left"):
        deploy.activate(live, B)


def test_a_journal_that_died_does_not_prevent_the_abort(live: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_reader(*_given: object, **_more: object) -> None:
        raise BrokenPipeError

    live.ship(B, FAILURES["broken under traffic"])
    monkeypatch.setattr("builtins.print", no_reader)
    with pytest.raises(PhaseError):
        deploy.activate(live, B)


def test_the_failed_release_stays_so_that_its_cause_can_be_read(host: FakeHost) -> None:
    host.site = replace(host.site, keep=1)
    deploy.activate(host, host.ship(A))
    with pytest.raises(PhaseError):
        deploy.activate(host, host.ship(B, FAILURES["start"]))
    assert [record.release for record in host.releases.all()] == [B, A]
    assert host.releases.record(B).cause


def test_a_release_that_fails_on_its_way_back_is_no_target_any_more(host: FakeHost) -> None:
    for release in (A, B):
        deploy.activate(host, host.ship(release))
    assert host.releases.rollback_target() == A
    host.systemd.behaviours[A] = FAILURES["crash"]
    with pytest.raises(PhaseError):
        deploy.activate(host, A)
    assert host.releases.rollback_target() is None


def test_the_next_release_goes_live_after_a_failed_one(host: FakeHost) -> None:
    with pytest.raises(PhaseError):
        deploy.activate(host, host.ship(A, FAILURES["crash"]))
    host.systemd.behaviours[A] = Behaviour()
    deploy.activate(host, A)
    assert host.releases.record(A).cause is None
    assert host.releases.current() == A


def test_a_failed_release_that_does_not_stop_is_a_warning(live: FakeHost) -> None:
    live.systemd.stop_error = "Access denied"
    with pytest.raises(PhaseError):
        deploy.activate(live, live.ship(B, FAILURES["crash"]))
    assert live.releases.record(B).warnings == [f"undo start: {B} did not stop: Access denied"]
