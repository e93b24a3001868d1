"""Several hosts: a held release is aborted unless it is confirmed in time, and can be aborted at any time."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from slipway.engine import client, decision, deploy
from slipway.engine.errors import Interrupted
from slipway.model.errors import SlipwayError
from slipway.model.record import Request
from slipway.model.states import Kind
from tests.engine.fakes import FakeHost
from tests.engine.names import A, B


@pytest.fixture
def held(host: FakeHost) -> FakeHost:
    """A is live, B is shipped and will be held."""
    deploy.activate(host, host.ship(A))
    host.ship(B)
    host.change(B, request={"kind": "deploy", "by": "alice", "hold": 5, "state": "requested"})
    return host


@contextmanager
def meanwhile(do: Callable[[], None]) -> Iterator[None]:
    thread = threading.Thread(target=do)
    thread.start()
    yield
    thread.join()


def when_held(host: FakeHost, then: Callable[[], None]) -> Callable[[], None]:
    def wait() -> None:
        deadline = time.monotonic() + 5
        while host.releases.record(B).activation != "held" and time.monotonic() < deadline:
            time.sleep(0.005)
        then()

    return wait


def test_it_stays_once_it_is_confirmed(held: FakeHost) -> None:
    warm: list[set[str]] = []

    def confirm() -> None:
        warm.append(held.systemd.running())
        assert held.releases.slice("live") == B, "it has all traffic"
        assert held.releases.current() == A, "what boots is the one before"
        client.confirm(held, B)

    with meanwhile(when_held(held, confirm)):
        deploy.activate(held, B)
    assert warm == [{A, B}]
    assert held.releases.current() == B
    client.confirm(held, B)  # a controller that asks twice


def test_without_a_confirmation_it_is_aborted(held: FakeHost) -> None:
    held.change(B, request={"kind": "deploy", "hold": 0.05, "state": "requested"})
    with pytest.raises(Interrupted, match=r"no confirmation within 0.05 s"):
        deploy.activate(held, B)
    assert held.releases.current() == held.releases.slice("live") == A
    assert held.systemd.running() == {A}


def test_what_was_confirmed_of_an_earlier_try_does_not_count(held: FakeHost) -> None:
    decision.confirm(held, B)
    client.request(held, B, Request(Kind.DEPLOY, "alice", hold=0.05))
    with pytest.raises(Interrupted):
        deploy.activate(held, B)


def test_what_is_not_held_cannot_be_confirmed(held: FakeHost) -> None:
    with pytest.raises(SlipwayError, match=f"release {B} is not held: its activation is requested"):
        client.confirm(held, B)
    held.change(B, cause="probe: no answer", request={"state": "failed"})
    with pytest.raises(SlipwayError, match="is not held: probe: no answer"):
        client.confirm(held, B)


def test_an_abort_says_why(held: FakeHost) -> None:
    """Systemctl stop sends the signal on a real host: here the decision is what is tested."""
    decision.withdraw(held, B, "web-2 failed")
    assert decision.reason(held, B) == "web-2 failed"
    assert not decision.confirmed(held, B)


def test_an_abort_of_one_that_is_live_already_goes_back(held: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    decision.confirm(held, B)
    deploy.activate(held, B)
    engines: list[threading.Thread] = []

    def engine(call: str) -> None:
        if call == f"start deploy@{A}.service":
            engines.append(threading.Thread(target=deploy.activate, args=(held, A)))
            engines[0].start()

    held.systemd.before_call = engine
    # Its handler belongs to the main thread, and here the engine is in another one.
    monkeypatch.setattr("signal.signal", lambda *_given: None)
    assert client.abort(held, B, "alice", "web-2 failed") == f"rolled back to {A}"
    engines[0].join()
    assert held.releases.current() == A
    request = held.releases.record(A).request
    assert request
    assert request.kind == "rollback"


def test_an_abort_of_what_never_came_does_nothing(held: FakeHost) -> None:
    assert "nothing to abort" in client.abort(held, B, "alice", "web-2 failed")
    assert held.releases.current() == A


def test_only_one_host_migrates(host: FakeHost) -> None:
    host.ship(A)
    host.has_migrations(A)
    host.change(A, request={"kind": "deploy", "migrate": False, "state": "requested"})
    deploy.activate(host, A)
    assert f"start migrate@{A}.service" not in host.systemd.calls
