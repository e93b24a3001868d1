"""Watching a release that has traffic: nginx's log, the unit, and probes of our own where there is no other request."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from slipway.engine import canary_analysis, traffic
from slipway.engine.access_log import Attempt, Follower
from slipway.engine.canary_analysis import Limits, Sample
from slipway.engine.host import Host
from slipway.engine.probe import get_from_socket
from slipway.model.errors import SlipwayError

POLL_SECONDS = 0.2
PROBE_TIMEOUT = 2.0
SUSPECT_SECONDS = {"canary": 45, "live": 30}
"""A watch takes up to this long while the new release, in this slice, is suspect. Longer in the canary: if it is as bad
as it seems, a tenth of the requests fail, and after the cutover nine tenths."""
UNSEEN_SECONDS = 30
"""The canary's watch takes up to this long while only the old release has had requests: of a quiet site's requests a
random tenth may be none in the time of a watch."""
WEIGHTS = {"live": 0.9, "canary": 0.1}
"""How nginx divides the requests (nginx/upstream.conf)."""


@dataclass
class Pair:
    """Samples of both releases, of the same kind of requests."""

    new: Sample = field(default_factory=Sample)
    old: Sample = field(default_factory=Sample)
    before: Sample = field(default_factory=Sample)
    """Of the old one in the watch before, when it had the other slice."""


@dataclass
class Watch:
    """Compares a new release with the one before it, which was live when the watch began."""

    host: Host
    new_release: str
    old_release: str
    traffic: Pair = field(default_factory=Pair)
    probes: Pair = field(default_factory=Pair)
    """Apart from the traffic: they are all alike, and their share would differ between the two releases."""

    def compare(self, new_slice: str, check: Callable[[], None]) -> str | None:
        """Compare the two for a while. Returns the reason why the new release is worse, None if it is not.

        It takes longer while the new release fails more, after too few requests to tell whether that is significant,
        while the canary has had none of the requests, and while it is silent and may still warm up.

        `new_slice` is the one that the new release has; the old one has the other. `check` is called at each look and
        may raise.

        For two seconds after a slice was pointed elsewhere some of its answers are still the other release's, over
        connections that nginx keeps. That makes the two more alike, never less, so those answers may count. Their
        seconds do not: a release that has just started is slow until it has warmed up.
        """
        # The second time the new release has the share that the old one had the first time.
        self.traffic, self.probes = Pair(before=self.traffic.old), Pair(before=self.probes.old)
        site = self.host.site
        limits = Limits(site.watch_errors, site.watch_slower)
        log = self._follow()
        warm_from = time.time() + traffic.DRAIN_SECONDS
        began = time.monotonic()
        late = False
        try:
            while not late or self._undecided(new_slice, limits, time.monotonic() - began):
                time.sleep(POLL_SECONDS)
                check()
                before = self.traffic.new.attempts
                for attempt in log.new():
                    sample = self.traffic.new if attempt.slice == new_slice else self.traffic.old
                    sample.add(attempt, timed=attempt.began > warm_from)
                if self.traffic.new.attempts == before:
                    # No request since the last look.
                    warm = time.time() > warm_from
                    self.probes.new.add(self._probe(self.new_release), timed=warm)
                    self.probes.old.add(self._probe(self.old_release), timed=warm)
                late = time.monotonic() >= began + site.watch_seconds
                for pair in (self.traffic, self.probes):
                    if reason := canary_analysis.worse(pair.new, pair.old, pair.before, limits, late):
                        return reason
                # What its first requests wait for while it warms up, it answers later.
                if time.time() > warm_from and (reason := self._silent(WEIGHTS[new_slice])):
                    return reason
        finally:
            log.close()
        return None

    def _undecided(self, new_slice: str, limits: Limits, seconds: float) -> bool:
        """Whether to go on after the time of the watch. `seconds`: since it began."""
        traffic = self.traffic
        if new_slice == "canary" and traffic.old.attempts and not traffic.new.attempts and seconds < UNSEEN_SECONDS:
            return True
        if self._silent(WEIGHTS[new_slice]):
            return True
        pairs = (self.traffic, self.probes)
        suspect = any(canary_analysis.suspect(pair.new, pair.old, pair.before, limits) for pair in pairs)
        return suspect and seconds < SUSPECT_SECONDS[new_slice]

    def _silent(self, share: float) -> str | None:
        new, old = self.traffic.new.attempts, self.traffic.old.attempts
        if not canary_analysis.silent(new, old, share):
            return None
        return (
            f"the new release does not answer: {new} of the last {new + old} answers came from it, "
            f"and nginx sent it {share:.0%} of the requests"
        )

    def figures(self) -> dict[str, dict[str, dict[str, float | int | None]]]:
        """The figures of all samples, for the record."""
        return {
            name: {"new": pair.new.figures(), "old": pair.old.figures()}
            for name, pair in (("traffic", self.traffic), ("probes", self.probes))
        }

    def _follow(self) -> Follower:
        try:
            return Follower(self.host.access_log)
        except OSError as error:
            raise SlipwayError(
                f"nginx's log cannot be read ({error}), and the watch reads it: "
                "provision the host again, or set `release_watch_seconds: 0`"
            ) from None

    def _probe(self, release: str) -> Attempt:
        site, began = self.host.site, time.time()
        path = self.host.releases.socket(release)
        answer = get_from_socket(path, site.ready_path, site.probe_host, PROBE_TIMEOUT, site.probe_scheme)
        request = f"GET {site.ready_path} (probe)"
        return Attempt("", began, answer.status or None, time.time() - began, request)
