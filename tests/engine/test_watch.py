"""The canary and the watch: a release that is worse is taken back, with the figures."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import cast

import pytest

from slipway import deploy, watch
from slipway.errors import PhaseError, SlipwayError
from tests.engine.fakes import Behaviour, FakeHost
from tests.engine.names import A, B


@pytest.fixture
def watched(host: FakeHost) -> FakeHost:
    """A is live, and what comes next is watched."""
    deploy.activate(host, host.ship(A))
    host.config = replace(host.config, watch_seconds=cast("int", 0.4))
    return host


@contextmanager
def traffic(
    host: FakeHost, status: Callable[[str], int], seconds: Callable[[str], float] = lambda _: 0.01, every: float = 0.001
) -> Iterator[None]:
    """Put requests into nginx's log, one in ten for the canary slice.

    The functions take the release that is asked; status 0 is no answer yet. One comes `every` so many seconds.
    """
    ended = threading.Event()

    def write() -> None:
        number = 0
        with host.access_log.open("a") as log:
            while not ended.wait(every):
                number += 1
                name = "live" if number % 10 else "canary"
                release = host.releases.slice(name) or ""
                if not (said := status(release)):
                    continue
                values = {
                    "method": "GET",
                    "uri": "/a",
                    "request_id": "1f",
                    "time": time.time(),
                    "seconds": 0,
                    "upstream_addr": f"unix:/srv/app/{name}.sock",
                    "upstream_status": str(said),
                    "upstream_header_seconds": f"{seconds(release):.3f}",
                }
                log.write(json.dumps(values) + "\n")
                log.flush()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def phases(host: FakeHost, release: str) -> list[str]:
    return [phase["name"] for phase in host.releases.record(release).phases]


def test_a_good_release_gets_a_slice_then_all(watched: FakeHost) -> None:
    seen: list[tuple[str | None, str | None]] = []
    look = watch.Watch.compare
    with pytest.MonkeyPatch.context() as patch:

        def spy(self: watch.Watch, *given: object, **more: object) -> str | None:
            seen.append((watched.releases.slice("canary"), watched.releases.slice("live")))
            return look(self, *given, **more)  # type: ignore[arg-type]

        patch.setattr(watch.Watch, "compare", spy)
        with traffic(watched, lambda _release: 200):
            record = deploy.activate(watched, watched.ship(B))
    assert seen == [(B, A), (A, B)]
    saw = {phase["name"]: phase["saw"]["traffic"] for phase in record.phases if "saw" in phase}
    assert list(saw) == ["watch-canary", "watch"]
    assert saw["watch-canary"]["new"]["tries"] < saw["watch-canary"]["old"]["tries"]
    assert saw["watch"]["new"]["tries"] > saw["watch-canary"]["new"]["tries"]
    assert watched.releases.current() == watched.releases.slice("live") == watched.releases.slice("canary") == B


def test_a_release_that_fails_in_its_slice_never_gets_all_traffic(watched: FakeHost) -> None:
    with (
        traffic(watched, lambda release: 500 if release == B else 200),
        pytest.raises(PhaseError, match=r"it fails more often than the release before it: \d+ of \d+ failed"),
    ):
        deploy.activate(watched, watched.ship(B))
    assert phases(watched, B)[-1] == "watch-canary"
    assert watched.releases.slice("live") == watched.releases.slice("canary") == watched.releases.current() == A
    assert watched.systemd.running() == {A}
    assert watched.releases.record(B).phases[-1]["saw"]["traffic"]["new"]["bad"] > 0


def test_one_that_is_slow_in_its_slice_neither(watched: FakeHost) -> None:
    with (
        traffic(watched, lambda _release: 200, lambda release: 0.1 if release == B else 0.01),
        pytest.raises(PhaseError, match="it is slower than the release before it"),
    ):
        deploy.activate(watched, watched.ship(B))
    assert watched.releases.current() == A


def queues(host: FakeHost, *slow: str) -> Callable[[str], float]:
    """How long an answer takes where these releases are slow with the larger share of the requests."""
    return lambda release: 0.2 if release in slow and host.releases.slice("live") == release else 0.01


def test_one_that_queues_as_the_old_one_did_goes_live(watched: FakeHost) -> None:
    """The machine is busy: whoever has the larger share is slow."""
    with traffic(watched, lambda _release: 200, queues(watched, A, B)):
        deploy.activate(watched, watched.ship(B))
    assert watched.releases.current() == B


def test_one_that_alone_is_slow_with_the_larger_share_goes_back(watched: FakeHost) -> None:
    with (
        traffic(watched, lambda _release: 200, queues(watched, B)),
        pytest.raises(PhaseError, match="when that one had as many requests as this one has"),
    ):
        deploy.activate(watched, watched.ship(B))
    assert phases(watched, B)[-1] == "watch"
    assert watched.releases.current() == A


def test_one_that_breaks_under_all_traffic_goes_back(watched: FakeHost) -> None:
    def overloaded(release: str) -> int:
        return 503 if release == B and watched.releases.slice("live") == B else 200

    with traffic(watched, overloaded), pytest.raises(PhaseError, match=r"For example: GET /a \(request 1f\): 503;"):
        deploy.activate(watched, watched.ship(B))
    assert phases(watched, B)[-1] == "watch"
    assert watched.releases.slice("live") == watched.releases.slice("canary") == watched.releases.current() == A
    assert watched.systemd.running() == {A}


def test_a_release_that_is_no_worse_than_a_broken_one_goes_live(watched: FakeHost) -> None:
    with traffic(watched, lambda _release: 500):
        deploy.activate(watched, watched.ship(B))
    assert watched.releases.current() == B


def test_without_traffic_we_ask_ourselves(watched: FakeHost) -> None:
    record = deploy.activate(watched, watched.ship(B))
    saw = next(phase["saw"]["asked"] for phase in record.phases if phase["name"] == "watch-canary")
    assert saw["new"]["tries"] == saw["old"]["tries"] > 5
    assert saw["new"]["bad"] == 0


def test_without_traffic_a_release_that_stops_answering_is_found(watched: FakeHost) -> None:
    behaviour = Behaviour()
    watched.ship(B, behaviour)
    look = watch.Watch.compare

    def wedge(self: watch.Watch, new_slice: str, check: Callable[[], None]) -> str | None:
        behaviour.not_ready_for = 10**6
        return look(self, new_slice, check)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(watch.Watch, "compare", wedge)
        with pytest.raises(PhaseError, match="it fails more often"):
            deploy.activate(watched, B)
    assert watched.releases.current() == A


def test_one_that_never_answers_is_found_by_its_silence(watched: FakeHost) -> None:
    """Its requests are in no log before they have timed out."""
    with (
        traffic(watched, lambda release: 0 if release == B else 200),
        pytest.raises(PhaseError, match="it does not answer: 0 of the last"),
    ):
        deploy.activate(watched, watched.ship(B))
    assert watched.releases.current() == A


def test_a_deploy_can_be_asked_for_without_comparing(watched: FakeHost) -> None:
    watched.ship(B)
    watched.change(B, request={"kind": "deploy", "watch": False, "state": "requested"})
    with traffic(watched, lambda release: 500 if release == B else 200):
        deploy.activate(watched, B)
    assert watched.releases.current() == B


def test_a_crash_while_it_is_watched_ends_it_at_once(watched: FakeHost) -> None:
    behaviour = Behaviour()
    watched.ship(B, behaviour)
    look = watch.Watch.compare

    def crash(self: watch.Watch, new_slice: str, check: Callable[[], None]) -> str | None:
        behaviour.crashes = True
        return look(self, new_slice, check)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(watch.Watch, "compare", crash)
        with pytest.raises(PhaseError, match=r"it crashed once it had traffic \(exit status 3\)"):
            deploy.activate(watched, B)
    assert watched.releases.current() == A


def test_a_rollback_is_not_watched(watched: FakeHost) -> None:
    deploy.activate(watched, watched.ship(B))
    watched.change(A, request={"kind": "rollback", "state": "requested"})
    deploy.activate(watched, A)
    assert "watch" not in phases(watched, A)
    assert watched.releases.current() == A


def test_a_release_may_be_slow_until_it_has_warmed_up(watched: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slipway.traffic.DRAIN_SECONDS", 0.2)
    began: list[float] = []

    def seconds(release: str) -> float:
        if release == B and not began:
            began.append(time.monotonic())
        return 0.2 if release == B and time.monotonic() < began[0] + 0.15 else 0.01

    with traffic(watched, lambda _release: 200, seconds):
        deploy.activate(watched, watched.ship(B))
    assert watched.releases.current() == B


def test_a_log_that_cannot_be_read_is_said(watched: FakeHost) -> None:
    watched.access_log.unlink()
    with pytest.raises(SlipwayError, match="`release_watch_seconds: 0`"):
        deploy.activate(watched, watched.ship(B))
    assert watched.releases.current() == A


@pytest.mark.parametrize("always", [True, False])
def test_one_that_is_suspect_at_the_end_is_watched_longer(
    watched: FakeHost, monkeypatch: pytest.MonkeyPatch, always: bool
) -> None:
    """Of the two requests that come in a watch one or both fail. That may be chance: more of them tell."""
    monkeypatch.setattr(watch, "SUSPECT_SECONDS", 2.4)
    failed = 0

    def status(release: str) -> int:
        nonlocal failed
        if release == A or (failed and not always):
            return 200
        failed += 1
        return 500

    with traffic(watched, status, every=0.02):
        if always:
            with pytest.raises(PhaseError, match="fails more often"):
                deploy.activate(watched, watched.ship(B))
        else:
            deploy.activate(watched, watched.ship(B))
    assert watched.releases.current() == (A if always else B)
    took = {phase["name"]: phase["seconds"] for phase in watched.releases.record(B).phases}
    assert ("cutover" in took) is not always
    assert took["watch-canary"] > watched.config.watch_seconds
    assert (took["watch-canary"] < watch.SUSPECT_SECONDS) is always
