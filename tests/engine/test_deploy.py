"""Activations that go well."""

import re
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from slipway.engine import deploy, lock, phases, traffic, ways
from slipway.engine.lock import Holder, Purpose
from slipway.model.record import Record
from tests.engine.fakes import Behaviour, FakeHost
from tests.engine.names import A, B

KEPT = r"keepalive_time (\d+)s;\s*keepalive_timeout (\d+)s;"
"""How long nginx keeps a connection to the app: for a time, and then until it was not used for a while."""


def names(record: Record) -> list[str]:
    return [phase.name for phase in record.phases]


def test_the_first_release_becomes_live(host: FakeHost) -> None:
    host.ship(A)
    host.takes_every_phase(A)
    record = deploy.activate(host, A)
    assert host.releases.current() == A
    assert [host.releases.slice(name) for name in ("live", "canary")] == [A, A]
    assert host.systemd.running() == {A}
    assert host.front.answered_by == [A, A], "it is ready, and it is the one that answers"
    assert (record.state, record.healthy, record.phase, record.previous) == ("live", True, None, None)
    assert record.activation == "done"
    # There is nothing to compare it with.
    assert names(record) == [
        *("backup", "migrate", "start", "probe", "hand-over"),
        *("cutover", "probe-front", "hold", "keep", "retire", "prune"),
    ]
    assert host.releases.record(A) == record


def test_the_second_release_replaces_the_first(host: FakeHost) -> None:
    deploy.activate(host, host.ship(A))
    host.ship(B)
    host.takes_every_phase(B)
    record = deploy.activate(host, B)
    assert names(record) == [phase.name for phase in (*deploy.UNDOABLE, *deploy.TIDYING)]
    assert host.releases.current() == host.releases.slice("live") == host.releases.slice("canary") == B
    assert host.systemd.running() == {B}
    old = host.releases.record(A)
    assert (old.state, old.healthy) == ("retired", True)
    assert old.retired_at
    assert host.releases.record(B).previous == A


def test_the_socket_starts_before_its_service(host: FakeHost) -> None:
    deploy.activate(host, host.ship(A))
    assert host.systemd.calls == [f"start app@{A}.socket", f"start app@{A}.service"]


def test_the_old_release_stops_only_after_cutover_and_the_drain_time(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy.activate(host, host.ship(A))
    monkeypatch.setattr(traffic, "DRAIN_SECONDS", 0.2)
    flipped: list[float] = []

    def point(*given: Any) -> bool:
        flipped.append(time.monotonic())
        return traffic.point(*given)

    monkeypatch.setattr(phases, "point", point)
    deploy.activate(host, host.ship(B))
    stopped = host.systemd.at[host.systemd.calls.index(f"stop app@{A}.service")]
    assert len(flipped) == 1
    assert 0.2 <= stopped - flipped[0] < 1


def test_the_drain_time_covers_what_nginx_keeps_alive() -> None:
    # `fast` patches the module, not the source.
    source = Path(traffic.__file__).read_text()
    upstream = (Path(traffic.__file__).parents[2] / "nginx/upstream.conf").read_text()
    kept = [int(time) + int(timeout) for time, timeout in re.findall(KEPT, upstream)]
    drain = re.search(r"^DRAIN_SECONDS = ([0-9.]+)$", source, re.MULTILINE)
    assert drain
    assert len(kept) == upstream.count("keepalive ") == 2
    assert float(drain[1]) > max(kept)


def test_the_old_release_stops_only_when_its_queue_was_seen_empty_twice(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy.activate(host, host.ship(A))
    looks = iter([3, 0, 1, 0, 0])
    monkeypatch.setattr(ways, "queue_length", lambda _path: next(looks))
    deploy.activate(host, host.ship(B))
    assert next(looks, None) is None
    assert host.systemd.running() == {B}


def test_a_queue_that_never_empties_holds_the_deploy_no_longer_than_a_request_may_take(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy.activate(host, host.ship(A))
    monkeypatch.setattr(ways, "queue_length", lambda _path: 7)
    began = time.monotonic()
    deploy.activate(host, host.ship(B))
    assert 0.3 <= time.monotonic() - began < 10
    assert host.systemd.running() == {B}


def test_the_deploy_does_not_wait_for_the_old_ones_streams_to_end(host: FakeHost) -> None:
    for release in (A, B):
        deploy.activate(host, host.ship(release))
    assert host.systemd.unwaited == [f"stop app@{A}.service", f"stop app@{A}.socket"]


def test_it_waits_for_a_release_that_warms_up(host: FakeHost) -> None:
    deploy.activate(host, host.ship(A, Behaviour(not_ready_for=3)))
    assert host.releases.current() == A


def test_migrations_run_before_the_release_starts(host: FakeHost) -> None:
    host.ship(A)
    host.has_migrations(A)
    deploy.activate(host, A)
    assert host.systemd.calls[:2] == [f"start migrate@{A}.service", f"start app@{A}.socket"]


def test_a_rollback_runs_no_migrations(host: FakeHost) -> None:
    host.ship(A, request={"kind": "rollback"})
    host.has_migrations(A)
    deploy.activate(host, A)
    assert not [call for call in host.systemd.calls if "migrate" in call]


def test_what_is_live_already_is_left_alone(host: FakeHost) -> None:
    deploy.activate(host, host.ship(A))
    host.change(A, request={"state": "requested", "kind": "deploy"})
    calls = list(host.systemd.calls)
    record = deploy.activate(host, A)
    assert host.systemd.calls == calls
    assert record.activation == host.releases.record(A).activation == "done"


@pytest.mark.parametrize("path", [None, "/no-such-path"])
def test_an_app_without_a_version_gets_no_request_for_it(host: FakeHost, path: str | None) -> None:
    host.site = replace(host.site, version_path=path)
    deploy.activate(host, host.ship(A, Behaviour(reports=B)))
    assert host.releases.current() == A


def test_an_old_release_that_does_not_stop_is_a_warning(host: FakeHost) -> None:
    deploy.activate(host, host.ship(A))
    host.systemd.stop_error = "Access denied"
    record = deploy.activate(host, host.ship(B))
    assert record.state == "live"
    assert [warning for warning in record.warnings if "did not stop: Access denied" in warning]
    assert host.releases.record(A).state == "retired"


def test_a_failure_while_tidying_does_not_take_the_release_back(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy.activate(host, host.ship(A))

    def no_disk(*_given: object, **_more: object) -> None:
        raise OSError("Input/output error")

    monkeypatch.setattr("slipway.engine.prune.prune", no_disk)
    record = deploy.activate(host, host.ship(B))
    assert host.releases.current() == B
    assert record.activation == "done"
    assert record.warnings == ["prune: Input/output error"]


def test_an_engine_that_meets_the_mending_of_another_waits_for_it(host: FakeHost) -> None:
    """The client saw a free lock: the killed engine was gone, and the recovery had not begun."""
    host.ship(A)
    held = threading.Event()

    def mend() -> None:
        with lock.held(host.lock_file, Holder(Purpose.RECOVER)):
            held.set()
            time.sleep(0.8)

    mending = threading.Thread(target=mend)
    mending.start()
    held.wait()
    deploy.activate(host, A)
    mending.join()
    assert host.releases.current() == A


def test_sigterm_during_a_recovery_ends_the_engine_at_once(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    handlers = []

    def mend(*_given: object, **_more: object) -> list[str]:
        handlers.append(signal.getsignal(signal.SIGTERM))
        return []

    monkeypatch.setattr(deploy, "recover", mend)
    deploy.activate(host, host.ship(A))
    assert handlers == [signal.SIG_DFL]
