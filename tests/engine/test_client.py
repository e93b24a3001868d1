"""Requesting an activation and following it."""

import threading

import pytest

from slipway.engine import client, deploy, lock
from slipway.engine.errors import LockedError, PhaseError
from slipway.engine.lock import Holder, Purpose
from slipway.engine.systemd import UnitState
from slipway.model.errors import SlipwayError, UsageError
from slipway.model.record import Request
from slipway.model.states import ActivationState, Kind
from tests.engine.fakes import Behaviour, FakeHost, fails
from tests.engine.names import A, B


def test_the_caller_is_the_login_and_where_it_came_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USER", "deploy")
    monkeypatch.setenv("SSH_CONNECTION", "192.0.2.7 4711 192.0.2.1 22")
    assert client.caller() == "deploy@192.0.2.7"
    monkeypatch.delenv("SSH_CONNECTION")
    assert client.caller() == "deploy@this host"


def test_a_request_is_recorded_and_starts_the_engine(host: FakeHost) -> None:
    host.ship(A)
    record = client.request(host, A, Request(Kind.ROLLBACK, "bob"))
    assert record == host.releases.record(A)
    assert record.request
    assert (record.request.kind, record.by, record.activation) == ("rollback", "bob", "requested")
    assert host.systemd.calls == [f"start deploy@{A}.service"]
    again = client.request(host, A, Request(Kind.DEPLOY, "bob")).request
    assert again
    assert again.id != record.request.id


def test_a_release_that_is_not_here_cannot_be_requested(host: FakeHost) -> None:
    with pytest.raises(UsageError):
        client.request(host, "../x", Request(Kind.DEPLOY, "bob"))
    with pytest.raises(SlipwayError, match="no release"):
        client.request(host, A, Request(Kind.DEPLOY, "bob"))
    host.ship(A)
    host.releases.path(A).rename(host.releases.folder / "gone")
    with pytest.raises(SlipwayError, match="has no files"):
        client.request(host, A, Request(Kind.DEPLOY, "bob"))
    assert host.systemd.calls == []


def test_a_request_during_an_activation_is_refused_and_changes_nothing(host: FakeHost) -> None:
    host.ship(A)
    before = host.releases.record(A)
    with lock.held(host.lock_file, Holder(by="alice")), pytest.raises(LockedError, match="by alice"):
        client.request(host, A, Request(Kind.DEPLOY, "bob"))
    assert host.releases.record(A) == before
    assert host.systemd.calls == []


def test_a_request_is_refused_even_if_the_holder_is_unknown(host: FakeHost) -> None:
    host.ship(A)
    with lock.held(host.lock_file, Holder()):
        client.request(host, A, Request(Kind.DEPLOY, "bob", lock_wait=1))
    with lock.held(host.lock_file, Holder()), pytest.raises(LockedError):
        client.request(host, A, Request(Kind.DEPLOY, "bob"))


def test_a_request_waits_for_one_that_is_live_and_only_tidies_up(host: FakeHost) -> None:
    record = host.releases.record(host.ship(A))
    record.request = Request(state=ActivationState.LIVE)
    host.releases.save(record)
    host.ship(B)
    with lock.held(host.lock_file, Holder(release=A)):
        record = client.request(host, B, Request(Kind.DEPLOY, "bob"))
        with pytest.raises(LockedError):
            client.request(host, A, Request(Kind.DEPLOY, "bob"))
    assert record.request
    assert record.request.lock_wait > host.site.request_timeout
    assert host.systemd.calls == [f"start deploy@{B}.service"]


def test_a_request_is_not_refused_while_it_is_mended_what_a_killed_engine_left(host: FakeHost) -> None:
    """Its engine waits for a recovery, and for no other holder of the lock."""
    host.ship(A)
    with lock.held(host.lock_file, Holder(Purpose.RECOVER)):
        record = client.request(host, A, Request(Kind.DEPLOY, "bob"))
    assert record.request
    assert record.request.lock_wait == 0


def test_a_request_waits_until_the_killed_engine_of_the_same_release_is_mended(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.ship(A, request={"state": "running", "by": "alice"}, phase="probe")
    looks = iter(["deactivating", "deactivating", "failed"])

    def look(_unit: str) -> UnitState:
        active = next(looks)
        if active == "failed":
            host.change(A, request={"state": "failed", "by": "alice"}, phase=None, cause="probe: killed")
        return UnitState(active, "", 0, 0)

    monkeypatch.setattr(host.systemd, "state", look)
    record = client.request(host, A, Request(Kind.DEPLOY, "bob"))
    assert (record.phase, record.cause, record.by) == (None, "probe: killed", "bob")
    assert next(looks, None) is None


def test_an_engine_that_does_not_start_is_an_error(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    host.ship(A)
    monkeypatch.setattr(host.systemd, "start", fails("Access denied"))
    with pytest.raises(SlipwayError, match="the engine did not start: Access denied"):
        client.request(host, A, Request(Kind.DEPLOY, "bob"))


@pytest.mark.parametrize(
    ("state", "until", "reached"),
    [("live", "live", True), ("done", "live", True), ("done", "done", True)],
)
def test_waiting_ends_when_it_is_reached(host: FakeHost, state: str, until: str, reached: bool) -> None:
    host.ship(A, request={"state": state})
    assert (client.wait(host, A, until).release == A) is reached


def test_live_is_not_done_yet(host: FakeHost) -> None:
    host.ship(A, request={"state": "live"})
    host.systemd.states[f"deploy@{A}.service"] = "active"
    finish = threading.Timer(0.05, lambda: host.change(A, request={"state": "done"}))
    finish.start()
    record = client.wait(host, A, "done")
    finish.join()
    assert record.activation == "done"


def test_a_failure_comes_with_its_cause_and_what_serves(host: FakeHost) -> None:
    deploy.activate(host, host.ship(A))
    with pytest.raises(PhaseError):
        deploy.activate(host, host.ship(B, Behaviour(crashes=True, output=("ImportError: x",))))
    with pytest.raises(SlipwayError) as raised:
        client.wait(host, B, "live")
    message = str(raised.value)
    assert message.startswith(f"release {B} failed in probe: the web server crashed")
    assert "ImportError: x" in message
    assert message.endswith(f"{A} is live and never stopped serving.")


def test_a_failure_on_an_empty_host_says_that_nothing_is_live(host: FakeHost) -> None:
    host.ship(A, request={"state": "failed"}, cause="start: no")
    with pytest.raises(SlipwayError, match=r"no release is live\.$"):
        client.wait(host, A, "live")


def test_the_error_of_an_engine_that_died_has_its_last_lines(host: FakeHost) -> None:
    host.ship(A, Behaviour(output=("Killed",)), request={"state": "running"}, phase="probe")
    with pytest.raises(SlipwayError, match=r"ended in phase probe without a result.*\n  Killed"):
        client.wait(host, A, "live")


def test_an_engine_that_ends_between_two_looks_has_its_result_read(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.ship(A, request={"state": "running"})
    look = host.systemd.state

    def ends_meanwhile(unit: str) -> object:
        state = look(unit)
        host.change(A, request={"state": "done"})
        return state

    monkeypatch.setattr(host.systemd, "state", ends_meanwhile)
    assert client.wait(host, A, "done").activation == "done"


def test_the_summary_is_one_line_with_the_seconds_of_each_phase(host: FakeHost) -> None:
    record = deploy.activate(host, host.ship(A))
    message = client.summary(record)
    assert message.startswith(f"{A} is live (start 0.")
    assert "\n" not in message
    record.phases = []
    assert client.summary(record) == f"{A} is live"
