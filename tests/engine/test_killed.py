"""An engine that is killed at any moment leaves a host that serves, and the next run finishes the job.

The engine runs in a child that is killed; systemd and nginx, which go on, are in this process.
"""

import os
import signal
import threading
from collections.abc import Callable
from dataclasses import replace
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

import pytest

from slipway.engine import audit, deploy, lock
from slipway.engine.activation import Activation
from slipway.engine.errors import SystemdError
from slipway.engine.recover import recover
from slipway.engine.systemd import Systemd
from tests.engine.fakes import FakeHost
from tests.engine.names import A, B, C

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")

PHASES = [phase.name for phase in (*deploy.UNDOABLE, *deploy.TIDYING)]
BEFORE_LIVE = PHASES[: PHASES.index("keep")]


class RemoteSystemd(Systemd):
    """In the child: hands every call to the systemd that outlives it."""

    def __init__(self, connection: "Connection[Any, Any]") -> None:
        self._connection = connection

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("_"):
            return super().__getattribute__(name)

        def call(*given: Any, **more: Any) -> Any:
            self._connection.send((name, given, more))
            result = self._connection.recv()
            if isinstance(result, SystemdError):
                raise result
            return result

        return call


def kill_myself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class KilledAtTheCanary:
    """In the child: dies when it is to point the canary's slice."""

    def __init__(self, systemd: Systemd) -> None:
        self.systemd = systemd

    def __getattr__(self, name: str) -> Any:
        return getattr(self.systemd, name)

    def start(self, *units: str, **options: Any) -> None:
        if units[0].startswith("point-canary@"):
            kill_myself()
        self.systemd.start(*units, **options)


def run_until_killed(host: FakeHost, release: str, arrange: Callable[[], None]) -> None:
    """Activate a release in a child, which arranges its own death."""
    ours, theirs = Pipe()

    def serve() -> None:
        while True:
            try:
                name, given, more = ours.recv()
            except EOFError:
                return
            try:
                result = getattr(host.systemd, name)(*given, **more)
            except SystemdError as error:
                result = error
            ours.send(result)

    child = os.fork()
    if child == 0:
        try:
            ours.close()
            host.systemd = RemoteSystemd(theirs)  # type: ignore[assignment]
            arrange()
            deploy.activate(host, release)
        finally:
            os._exit(1)
    theirs.close()
    server = threading.Thread(target=serve)
    server.start()
    _, status = os.waitpid(child, 0)
    server.join()
    ours.close()
    assert os.WIFSIGNALED(status), f"the child ended by itself, {status}"


def die_in(name: str, when: str) -> Callable[[], None]:
    def with_death(phase: deploy.Phase) -> deploy.Phase:
        def do(run: Activation) -> None:
            if when == "after":
                phase.do(run)
            kill_myself()

        return replace(phase, do=do) if phase.name == name else phase

    def arrange() -> None:
        # For good: this process ends here.
        vars(deploy)["UNDOABLE"] = tuple(map(with_death, deploy.UNDOABLE))
        vars(deploy)["TIDYING"] = tuple(map(with_death, deploy.TIDYING))

    return arrange


@pytest.fixture(params=[f"{when} {name}" for name in PHASES for when in ("before", "after")])
def killed(request: pytest.FixtureRequest, host: FakeHost) -> str:
    """A is live, and the engine that was to make B live was killed. Returns which of the two must serve."""
    when, name = str(request.param).split()
    deploy.activate(host, host.ship(A))
    host.ship(B)
    host.takes_every_phase(B)
    run_until_killed(host, B, die_in(name, when))
    return A if name in BEFORE_LIVE or (name, when) == ("keep", "before") else B


def test_it_serves_before_anything_mends_it_and_recover_ends_on_what_is_live(host: FakeHost, killed: str) -> None:
    assert host.front.get("", "/readyz", "").good
    assert lock.holder(host.lock_file) is None
    recover(host)
    assert host.releases.slice("live") == host.releases.slice("canary") == host.releases.current() == killed
    assert host.systemd.running() == {killed}
    assert host.systemd.loaded("migrate@*") == []
    assert host.front.get("", "/readyz", "").good
    assert [record.phase for record in host.releases.all()] == [None, None]
    states = {record.release: (record.state, record.healthy) for record in host.releases.all()}
    if killed == A:
        assert states == {A: ("live", True), B: ("failed", False)}
        assert "the engine was killed" in str(host.releases.record(B).cause)
    else:
        assert states == {A: ("retired", True), B: ("live", True)}
        assert host.releases.rollback_target() == A
    entry = audit.last(host)[-1]
    assert (entry["release"], entry["ended"], entry["live"]) == (B, "killed" if killed == A else "done", killed)
    assert recover(host) == [], "a second time there is nothing to mend"


def test_the_next_deploy_heals_it(host: FakeHost, killed: str) -> None:
    deploy.activate(host, host.ship(C))
    assert host.releases.current() == host.releases.slice("live") == host.releases.slice("canary") == C
    assert host.systemd.running() == {C}
    assert host.releases.rollback_target() == killed


@pytest.mark.usefixtures("killed")
def test_the_same_release_can_be_tried_again(host: FakeHost) -> None:
    host.takes_every_phase(B)
    record = deploy.activate(host, B)
    assert host.releases.current() == host.releases.slice("live") == B
    assert record.activation == "done"
    assert host.systemd.running() == {B}
    assert host.releases.rollback_target() == A


def test_a_kill_between_the_two_slices_is_mended(host: FakeHost) -> None:
    deploy.activate(host, host.ship(A))
    host.ship(B)

    def arrange() -> None:
        host.systemd = KilledAtTheCanary(host.systemd)  # type: ignore[assignment]

    run_until_killed(host, B, arrange)
    assert {host.releases.slice("live"), host.releases.slice("canary")} == {A, B}
    assert recover(host)[:1] == [f"pointed all traffic at {A}"]
    assert host.releases.slice("live") == host.releases.slice("canary") == A
    assert host.systemd.running() == {A}


def test_a_kill_between_the_link_and_the_record_does_not_lose_where_a_rollback_goes(host: FakeHost) -> None:
    deploy.activate(host, host.ship(A))
    host.ship(B)
    run_until_killed(host, B, die_in("keep", "after"))
    recover(host)
    assert (host.releases.current(), host.releases.rollback_target()) == (B, A)


def test_the_first_release_ever_killed_leaves_nothing_running(host: FakeHost) -> None:
    host.ship(A)
    run_until_killed(host, A, die_in("cutover", "after"))
    recover(host)
    assert host.systemd.running() == set()
    assert host.releases.slice("live") is host.releases.slice("canary") is None


def test_a_rollback_that_was_killed_can_be_repeated(host: FakeHost) -> None:
    for release in (A, B):
        deploy.activate(host, host.ship(release))
    host.change(A, request={"kind": "rollback", "state": "requested"})
    run_until_killed(host, A, die_in("probe", "before"))
    recover(host)
    assert (host.releases.current(), host.releases.rollback_target()) == (B, A)
