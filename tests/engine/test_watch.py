"""The canary and the watch: a worse release is rejected, with the figures."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import cast

import pytest

from slipway.engine import deploy, watch
from slipway.engine.errors import PhaseError
from slipway.model.errors import SlipwayError
from tests.engine.fakes import Behaviour, FakeHost
from tests.engine.names import A, B


@pytest.fixture
def watched(host: FakeHost) -> FakeHost:
    """A is live, and what comes next is watched."""
    deploy.activate(host, host.ship(A))
    host.site = replace(host.site, watch_seconds=cast("int", 0.4))
    return host


@contextmanager
def traffic(
    host: FakeHost, status: Callable[[str], int], seconds: Callable[[str], float] = lambda _: 0.01, every: float = 0.001
) -> Iterator[None]:
    """Put requests into nginx's log, one in ten for the canary slice.

    The functions take the release that gets a request; status 0 is no answer yet. `every` is in seconds.
    """
    ended = threading.Event()

    def write() -> None:
        number = 0
        with host.access_log.open("a") as log:
            while not ended.wait(every):
                number += 1
                name = "live" if number % 10 else "canary"
                release = host.releases.slice(name) or ""
                if not (answered := status(release)):
                    continue
                values = {
                    "method": "GET",
                    "uri": "/a",
                    "request_id": "1f",
                    "time": time.time(),
                    "seconds": 0,
                    "upstream_addr": f"unix:/srv/app/{name}.sock",
                    "upstream_status": str(answered),
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
    return [phase.name for phase in host.releases.record(release).phases]


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
    samples = {phase.name: phase.samples["traffic"] for phase in record.phases if phase.samples}
    assert list(samples) == ["watch-canary", "watch"]
    assert samples["watch-canary"]["new"]["attempts"] < samples["watch-canary"]["old"]["attempts"]
    assert samples["watch"]["new"]["attempts"] > samples["watch-canary"]["new"]["attempts"]
    assert watched.releases.current() == watched.releases.slice("live") == watched.releases.slice("canary") == B


def test_a_release_that_fails_in_its_slice_never_gets_all_traffic(watched: FakeHost) -> None:
    with (
        traffic(watched, lambda release: 500 if release == B else 200),
        pytest.raises(PhaseError, match=r"the new release fails more often than the old one: \d+ of \d+ failed"),
    ):
        deploy.activate(watched, watched.ship(B))
    assert phases(watched, B)[-1] == "watch-canary"
    assert watched.releases.slice("live") == watched.releases.slice("canary") == watched.releases.current() == A
    assert watched.systemd.running() == {A}
    samples = watched.releases.record(B).phases[-1].samples
    assert samples
    assert samples["traffic"]["new"]["failed"] > 0


def test_a_slow_release_never_gets_all_traffic(watched: FakeHost) -> None:
    with (
        traffic(watched, lambda _release: 200, lambda release: 0.1 if release == B else 0.01),
        pytest.raises(PhaseError, match="the new release is slower than the old one"),
    ):
        deploy.activate(watched, watched.ship(B))
    assert watched.releases.current() == A


def queues(host: FakeHost, *slow: str) -> Callable[[str], float]:
    """How long an answer takes where these releases are slow with the larger share of the requests."""
    return lambda release: 0.2 if release in slow and host.releases.slice("live") == release else 0.01


def test_a_release_that_queues_as_the_old_one_did_goes_live(watched: FakeHost) -> None:
    """The machine is busy: the release with the larger share is slow."""
    with traffic(watched, lambda _release: 200, queues(watched, A, B)):
        deploy.activate(watched, watched.ship(B))
    assert watched.releases.current() == B


def test_a_release_that_alone_is_slow_with_the_larger_share_is_aborted(watched: FakeHost) -> None:
    with (
        traffic(watched, lambda _release: 200, queues(watched, B)),
        pytest.raises(PhaseError, match="when the old one had this share of the requests"),
    ):
        deploy.activate(watched, watched.ship(B))
    assert phases(watched, B)[-1] == "watch"
    assert watched.releases.current() == A


def test_a_release_that_breaks_under_all_traffic_is_aborted(watched: FakeHost) -> None:
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


def test_without_traffic_both_releases_are_probed(watched: FakeHost) -> None:
    record = deploy.activate(watched, watched.ship(B))
    samples = next(phase.samples for phase in record.phases if phase.name == "watch-canary")
    assert samples
    probes = samples["probes"]
    assert probes["new"]["attempts"] == probes["old"]["attempts"] > 5
    assert probes["new"]["failed"] == 0


def test_without_traffic_a_release_that_stops_answering_is_found(watched: FakeHost) -> None:
    behaviour = Behaviour()
    watched.ship(B, behaviour)
    look = watch.Watch.compare

    def wedge(self: watch.Watch, new_slice: str, check: Callable[[], None]) -> str | None:
        behaviour.not_ready_for = 10**6
        return look(self, new_slice, check)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(watch.Watch, "compare", wedge)
        with pytest.raises(PhaseError, match="the new release fails more often"):
            deploy.activate(watched, B)
    assert watched.releases.current() == A


def test_a_release_may_be_silent_while_it_warms_up(watched: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy site ninety requests are answered by the old one before a first request is."""
    monkeypatch.setattr("slipway.engine.traffic.DRAIN_SECONDS", 2.2)
    first: list[float] = []

    def status(release: str) -> int:
        if release == B and not first:
            first.append(time.monotonic())
        return 0 if release == B and time.monotonic() < first[0] + 0.3 else 200

    with traffic(watched, status):
        deploy.activate(watched, watched.ship(B))
    assert watched.releases.current() == B


def test_a_release_that_never_answers_is_rejected_for_its_silence(watched: FakeHost) -> None:
    """Its requests are in no log before they have timed out."""
    with (
        traffic(watched, lambda release: 0 if release == B else 200),
        pytest.raises(PhaseError, match="the new release does not answer: 0 of the last"),
    ):
        deploy.activate(watched, watched.ship(B))
    assert watched.releases.current() == A


def test_a_deploy_can_be_requested_without_comparing(watched: FakeHost) -> None:
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
        with pytest.raises(PhaseError, match=r"the web server crashed while it had traffic \(exit status 3\)"):
            deploy.activate(watched, B)
    assert watched.releases.current() == A


def test_a_rollback_is_not_watched(watched: FakeHost) -> None:
    deploy.activate(watched, watched.ship(B))
    watched.change(A, request={"kind": "rollback", "state": "requested"})
    deploy.activate(watched, A)
    assert "watch" not in phases(watched, A)
    assert watched.releases.current() == A


def test_a_release_may_be_slow_until_it_has_warmed_up(watched: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slipway.engine.traffic.DRAIN_SECONDS", 0.2)
    began: list[float] = []

    def seconds(release: str) -> float:
        if release == B and not began:
            began.append(time.monotonic())
        return 0.2 if release == B and time.monotonic() < began[0] + 0.15 else 0.01

    with traffic(watched, lambda _release: 200, seconds):
        deploy.activate(watched, watched.ship(B))
    assert watched.releases.current() == B


def test_a_log_that_cannot_be_read_is_an_error(watched: FakeHost) -> None:
    watched.access_log.unlink()
    with pytest.raises(SlipwayError, match="`release_watch_seconds: 0`"):
        deploy.activate(watched, watched.ship(B))
    assert watched.releases.current() == A


@pytest.mark.parametrize("always", [True, False])
def test_a_suspect_release_is_watched_longer(watched: FakeHost, monkeypatch: pytest.MonkeyPatch, always: bool) -> None:
    """Of the two requests that come in a watch one or both fail. Two are too few to be sure: more requests decide."""
    monkeypatch.setattr(watch, "SUSPECT_SECONDS", {"canary": 2.4, "live": 2.4})
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
    took = {phase.name: phase.seconds for phase in watched.releases.record(B).phases}
    assert ("cutover" in took) is not always
    assert took["watch-canary"] > watched.site.watch_seconds
    assert (took["watch-canary"] < 2.4) is always


@pytest.mark.parametrize("comes", [True, False])
def test_a_canary_that_has_had_no_request_is_watched_longer(
    watched: FakeHost, monkeypatch: pytest.MonkeyPatch, comes: bool
) -> None:
    """Its random tenth of a quiet site's requests may come after twice the time of a watch, or never."""
    monkeypatch.setattr(watch, "UNSEEN_SECONDS", 2.5)
    since: list[float] = []

    def status(release: str) -> int:
        if release == A or watched.releases.slice("live") == B:
            return 200
        since.append(time.monotonic())
        return 200 if comes and time.monotonic() > since[0] + 2 * watched.site.watch_seconds else 0

    with traffic(watched, status, every=0.03):
        record = deploy.activate(watched, watched.ship(B))
    phase = next(phase for phase in record.phases if phase.name == "watch-canary")
    assert phase.samples
    assert bool(phase.samples["traffic"]["new"]["attempts"]) is comes
    assert phase.seconds > 2 * watched.site.watch_seconds - 0.1 if comes else phase.seconds >= 2.5
    assert watched.releases.current() == B
