"""Making everything agree with what is live."""

import threading
import time
from collections.abc import Callable

import pytest

from slipway.engine import audit, decision, deploy, lock, traffic
from slipway.engine.lock import Holder, Purpose
from slipway.engine.recover import mend_killed, recover
from slipway.model.errors import SlipwayError
from tests.engine.fakes import Behaviour, FakeHost
from tests.engine.names import A, B, C


@pytest.fixture
def live(host: FakeHost) -> FakeHost:
    deploy.activate(host, host.ship(A))
    host.systemd.calls.clear()
    host.systemd.at.clear()
    return host


def reboot(host: FakeHost) -> None:
    host.systemd.close()
    host.systemd.states.clear()


def test_there_is_nothing_to_mend_on_a_healthy_host(live: FakeHost) -> None:
    assert recover(live) == []
    assert live.systemd.calls == []


def test_there_is_nothing_to_mend_on_an_empty_host(host: FakeHost) -> None:
    assert recover(host) == []


def test_at_boot_the_socket_starts_before_the_service_and_neither_is_waited_for(live: FakeHost) -> None:
    reboot(live)
    assert recover(live, boot=True) == [f"started app@{A}.service"]
    expected = [f"start app@{A}.socket", f"start app@{A}.service"]
    assert live.systemd.calls == live.systemd.unwaited == expected
    assert live.front.get("", "/readyz", "").good


def test_without_boot_it_waits_for_what_it_starts(live: FakeHost) -> None:
    reboot(live)
    recover(live)
    assert live.systemd.unwaited == []
    assert live.systemd.running() == {A}


def test_a_live_release_that_crashes_is_started_again(live: FakeHost) -> None:
    live.systemd.states[f"app@{A}.service"] = "failed"
    assert recover(live) == [f"started app@{A}.service"]


def test_slices_that_point_elsewhere_are_pointed_back_before_the_other_is_stopped(live: FakeHost) -> None:
    live.ship(B)
    live.systemd.start(f"app@{B}.socket", f"app@{B}.service")
    live.releases.set_slice("canary", B)
    slices: list[str | None] = []
    live.systemd.before_call = lambda _call: slices.append(live.releases.slice("canary"))
    assert recover(live) == [f"pointed all traffic at {A}", f"stopped app@{B}"]
    assert slices == [A, A]
    assert live.systemd.running() == {A}


@pytest.mark.parametrize(("boot", "wait"), [(False, 0.2), (True, 0.0)])
def test_one_that_lost_its_traffic_a_moment_ago_is_drained_before_it_is_stopped(
    live: FakeHost, monkeypatch: pytest.MonkeyPatch, boot: bool, wait: float
) -> None:
    """As after an engine that was killed in `retire`. Nothing is under way at boot."""
    monkeypatch.setattr(traffic, "DRAIN_SECONDS", 0.2)
    live.systemd.start(f"app@{B}.socket", f"app@{B}.service")
    began = time.monotonic()
    assert recover(live, boot=boot) == [f"stopped app@{B}"]
    stopped = live.systemd.at[live.systemd.calls.index(f"stop app@{B}.service")]
    assert wait <= stopped - began < wait + 0.15


def test_a_slice_that_is_lost_is_made_again(live: FakeHost) -> None:
    live.releases.set_slice("live", None)
    assert recover(live) == [f"pointed all traffic at {A}"]
    assert live.releases.slice("live") == A


def test_instances_are_stopped_where_nothing_is_live(host: FakeHost) -> None:
    host.ship(A)
    host.systemd.start(f"app@{A}.socket", f"app@{A}.service")
    host.releases.set_slice("live", A)
    assert recover(host) == ["pointed all traffic at nothing", f"stopped app@{A}"]
    assert host.systemd.running() == set()


def test_a_socket_alone_is_a_leftover_too(live: FakeHost) -> None:
    live.systemd.start(f"app@{B}.socket")
    assert recover(live) == [f"stopped app@{B}"]


def test_one_that_finishes_its_last_answers_is_let_be(live: FakeHost) -> None:
    live.systemd.states[f"app@{B}.service"] = "deactivating"
    assert recover(live) == []
    assert live.systemd.calls == []


@pytest.mark.parametrize("web", ["deactivating", "inactive"])
def test_one_with_a_proxy_that_finishes_its_last_answers_is_let_be(live: FakeHost, web: str) -> None:
    """The proxy stops after the web server."""
    live.systemd.states[f"app@{B}.service"] = web
    live.systemd.states[f"proxy@{B}.service"] = "active" if web == "deactivating" else "deactivating"
    assert recover(live) == []
    assert live.systemd.calls == []


def test_one_that_finishes_its_last_answers_is_waited_for_before_it_starts_again(live: FakeHost) -> None:
    live.systemd.states[f"app@{B}.service"] = "deactivating"
    recover(live, starting=B)
    assert live.systemd.calls == [f"stop app@{B}.service", f"stop app@{B}.socket"]
    assert live.systemd.unwaited == []


def test_migrations_whose_engine_is_gone_are_stopped(live: FakeHost) -> None:
    live.systemd.states[f"migrate@{B}.service"] = "activating"
    assert recover(live) == [f"stopped migrate@{B}.service, whose engine was gone"]
    assert live.systemd.calls == [f"stop migrate@{B}.service"]


def test_a_live_release_without_files_is_an_error_and_the_rest_is_mended(live: FakeHost) -> None:
    live.releases.path(A).rename(live.releases.folder / "gone")
    live.systemd.start(f"app@{B}.socket")
    with pytest.raises(SlipwayError, match="has no files any more: deploy another release"):
        recover(live)
    assert B not in live.systemd.running()


@pytest.mark.parametrize("broken", ["files", "start"])
def test_a_live_release_that_cannot_be_brought_back_does_not_stop_the_deploy_that_replaces_it(
    live: FakeHost, broken: str
) -> None:
    reboot(live)
    if broken == "files":
        live.releases.path(A).rename(live.releases.folder / "gone")
    else:
        live.systemd.behaviours[A] = Behaviour(start_error="status=243/CREDENTIALS")
    deploy.activate(live, live.ship(B))
    assert live.releases.current() == live.releases.slice("live") == B


def test_a_live_release_that_cannot_start_is_an_error_when_it_is_the_requested_one(live: FakeHost) -> None:
    reboot(live)
    live.systemd.behaviours[A] = Behaviour(start_error="status=243/CREDENTIALS")
    with pytest.raises(SlipwayError, match="243/CREDENTIALS"):
        deploy.activate(live, A)


def test_a_damaged_record_does_not_keep_it_from_mending(live: FakeHost) -> None:
    live.ship(B)
    (live.releases.folder / f"{B}.json").write_text("{")
    live.releases.set_slice("canary", None)
    assert recover(live) == [f"pointed all traffic at {A}"]


def test_one_that_is_not_live_any_more_is_recorded_as_retired(live: FakeHost) -> None:
    live.ship(C, state="live", healthy=True)
    recover(live)
    record = live.releases.record(C)
    assert (record.state, record.healthy) == ("retired", True)
    assert record.retired_at


def test_what_a_killed_engine_left_is_mended_when_the_lock_is_free(live: FakeHost) -> None:
    """Somebody who only looks for room on the disk has it meanwhile."""
    live.ship(B, phase="canary", state="activating", request={"state": "running", "by": "alice"})
    live.releases.set_slice("canary", B)
    free = hold(live, seconds=0.7)
    mended = mend_killed(live, B, "deploy")
    free.join()
    assert mended[0] == f"pointed all traffic at {A}"
    record = live.releases.record(B)
    assert (record.state, record.activation) == ("failed", "failed")
    assert record.cause == "canary: the engine was killed; its phases were undone"


def test_it_is_left_to_an_activation_that_has_the_lock_already(live: FakeHost) -> None:
    live.ship(B, phase="canary", state="activating", request={"state": "running", "by": "alice"})
    activation = hold(live, seconds=3, then=lambda: recover(live, starting=C))
    assert mend_killed(live, B, "deploy") == []
    assert activation.is_alive(), "it has not waited for the end of the other"
    activation.join()
    assert live.releases.record(B).activation == "failed"


def test_an_engine_that_is_killed_before_it_began_is_recorded(live: FakeHost) -> None:
    """In the queue, for example; what was live before stays as good as it was."""
    live.ship(B, state="retired", healthy=True, request={"state": "requested", "by": "alice"})
    decision.withdraw(live, B, "another host failed")
    other = hold(live, seconds=2)
    mend_killed(live, B, "deploy")
    assert other.is_alive()
    other.join()
    record = live.releases.record(B)
    assert (record.state, record.healthy, record.activation) == ("retired", True, "failed")
    assert record.cause == "start: it ended before it began: another host failed"
    assert (audit.last(live)[-1]["release"], audit.last(live)[-1]["ended"]) == (B, "killed")


def test_it_is_not_left_to_a_shipment_that_makes_room(live: FakeHost) -> None:
    """It mends nothing. The engine had not begun its own release: it was stopped while it mended another's."""
    live.ship(B, request={"state": "requested", "by": "alice"})
    live.releases.set_slice("canary", C)
    other = hold(live, seconds=1.2, holder=Holder(Purpose.PRUNE))
    assert mend_killed(live, B, "deploy")[0] == f"pointed all traffic at {A}"
    other.join()


def hold(
    host: FakeHost, seconds: float, then: Callable[[], object] = lambda: None, holder: Holder | None = None
) -> threading.Thread:
    """Hold the lock for some seconds, doing something at the beginning."""
    held = threading.Event()

    def run() -> None:
        with lock.held(host.lock_file, holder or Holder(release=C)):
            held.set()
            then()
            time.sleep(seconds)

    thread = threading.Thread(target=run)
    thread.start()
    held.wait()
    return thread
