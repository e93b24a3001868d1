"""Watching a release that has traffic: nginx's log, the unit, and requests of our own where there is no other."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from slipway import judgement, traffic
from slipway.access_log import Follower, Try
from slipway.errors import SlipwayError
from slipway.host import Host
from slipway.judgement import Limits, Sample
from slipway.probe import ask_socket

LOOK_SECONDS = 0.2
ASK_TIMEOUT = 2.0
SUSPECT_SECONDS = 30
"""A watch takes up to this long while the new release is suspect."""
WEIGHTS = {"live": 0.9, "canary": 0.1}
"""How nginx's upstream divides the requests (nginx/upstream.conf)."""


@dataclass
class Pair:
    """What the new release answered and what the old one did, to the same kind of requests."""

    new: Sample = field(default_factory=Sample)
    old: Sample = field(default_factory=Sample)
    before: Sample = field(default_factory=Sample)
    """What the old one did in the watch before, when it had the other slice."""


@dataclass
class Watch:
    """Compares a new release with the one before it, which was live when the watch began."""

    host: Host
    new_release: str
    old_release: str
    traffic: Pair = field(default_factory=Pair)
    asked: Pair = field(default_factory=Pair)
    """Our own requests, apart: they are all alike, and their share would differ between the two."""

    def compare(self, new_slice: str, check: Callable[[], None]) -> str | None:
        """Compare the two for a while. Returns why the new release is worse, None if it is not.

        It takes longer while the new release fails more, and too few have asked to tell whether that is chance.

        `new_slice` is the one that the new release has; the old one has the other. `check` is called at each look and
        may raise.

        For two seconds after a slice was pointed elsewhere some of its answers are still the other release's, over
        connections that nginx keeps. That makes the two more alike, never less, so those answers may count. How long
        they took does not: a release that has just started is slow until it has warmed up.
        """
        # The second time the new release has the share that the old one had the first time.
        self.traffic, self.asked = Pair(before=self.traffic.old), Pair(before=self.asked.old)
        config = self.host.config
        limits = Limits(config.watch_errors, config.watch_slower)
        log = self._follow()
        warm_from = time.time() + traffic.DRAIN_SECONDS
        began = time.monotonic()
        late = False
        try:
            while not late or (self._suspect(limits) and time.monotonic() < began + SUSPECT_SECONDS):
                time.sleep(LOOK_SECONDS)
                check()
                before = self.traffic.new.tries
                for each in log.new():
                    sample = self.traffic.new if each.slice == new_slice else self.traffic.old
                    sample.add(each, timed=each.began > warm_from)
                if self.traffic.new.tries == before:
                    # Nobody came since the last look.
                    warm = time.time() > warm_from
                    self.asked.new.add(self._ask(self.new_release), timed=warm)
                    self.asked.old.add(self._ask(self.old_release), timed=warm)
                late = time.monotonic() >= began + config.watch_seconds
                for pair in (self.traffic, self.asked):
                    if why := judgement.worse(pair.new, pair.old, pair.before, limits, late):
                        return why
                if why := self._silent(WEIGHTS[new_slice]):
                    return why
        finally:
            log.close()
        return None

    def _suspect(self, limits: Limits) -> bool:
        return any(judgement.suspect(pair.new, pair.old, pair.before, limits) for pair in (self.traffic, self.asked))

    def _silent(self, share: float) -> str | None:
        new, old = self.traffic.new.tries, self.traffic.old.tries
        if not judgement.silent(new, old, share):
            return None
        return (
            f"it does not answer: {new} of the last {new + old} requests that were answered, and it was asked "
            f"{share:.0%} of them"
        )

    def figures(self) -> dict[str, object]:
        """For the record."""
        return {
            name: {"new": pair.new.figures(), "old": pair.old.figures()}
            for name, pair in (("traffic", self.traffic), ("asked", self.asked))
        }

    def _follow(self) -> Follower:
        try:
            return Follower(self.host.access_log)
        except OSError as error:
            raise SlipwayError(
                f"nginx's log cannot be read ({error}), and the watch reads it: "
                "provision the host again, or set `release_watch_seconds: 0`"
            ) from None

    def _ask(self, release: str) -> Try:
        config, began = self.host.config, time.time()
        path = self.host.releases.socket(release)
        answer = ask_socket(path, config.ready_path, config.probe_host, timeout=ASK_TIMEOUT)
        what = f"GET {config.ready_path}, asked by Slipway"
        return Try("", began, answer.status or None, time.time() - began, what)
