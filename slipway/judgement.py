"""Is the new release worse than the old one? What two samples of the same traffic tell, and how sure that is.

Both slices get a random share of the same requests at the same time, so whatever else changes (the hour, a slow
database) changes for both. A difference counts when it is large enough to matter, which the site decides, and too large
to be chance: Fisher's exact test, one-sided, which holds for three requests as well as for a million.
"""

import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field

from slipway.access_log import CLIENT_LEFT, Try

CHANCE = 1e-4
"""How likely a difference like this may be between two releases that are equally good. Small, since the watch looks
many times and each look is another chance to be wrong: in simulations of a whole watch, under one in a thousand."""
LATE_CHANCE = 3e-4
"""The same at the end of a watch, and for one that is suspect and watched longer. In simulations of whole deploys an
equal release was taken back in at most 4 of 1,000, with 30% failing in each; in at most 1 with 10%."""
SUSPECT_CHANCE = 0.25
"""One that fails more is watched longer if its failures would be this unlikely for an equal one. The first failure of a
quiet site is, if it is in the new one's tenth of the requests."""
NOTICEABLE_SECONDS = 0.02
"""Nobody minds an answer that comes later by less than this, however many times slower it is."""
SLOW_SHARE = 0.25
"""This share of the answers must have become slow."""
QUEUED = 0.9
"""With the larger share, usual is what nine in ten answers took no longer than. Who waits in a queue waits for all
before him: seconds of a queue are few observations, and their median is luck. In simulations of a machine at its limit
an equal release was called slow in one of five watches by the median, in one of forty by this."""

EXAMPLES = 3
WAY_OUT = "To deploy it all the same, without comparing: -e release_watch=false"


@dataclass
class Sample:
    """What a release answered while it was watched."""

    tries: int = 0
    bad: int = 0
    seconds: list[float] = field(default_factory=list)
    """How long each answer took to begin."""
    examples: list[str] = field(default_factory=list)
    """The first that failed, in words."""

    def add(self, each: Try, timed: bool = True) -> None:
        """Count a try. `timed`: how long it took counts as well."""
        self.tries += 1
        self.bad += each.bad
        if each.bad and len(self.examples) < EXAMPLES:
            self.examples.append(f"{each.what}: {each.status or 'no answer'}")
        # Refusing something is quick, and what was mended takes longer.
        refused = each.status is not None and 400 <= each.status < 500 and each.status != CLIENT_LEFT
        if timed and each.seconds is not None and not each.bad and not refused:
            self.seconds.append(each.seconds)

    @property
    def share(self) -> float:
        """The share of the tries that failed."""
        return self.bad / self.tries if self.tries else 0.0

    @property
    def median(self) -> float | None:
        """The median time until an answer began, in seconds."""
        return statistics.median(self.seconds) if self.seconds else None

    def quantile(self, share: float) -> float:
        """The time within which that share of the answers began, in seconds. There has to be an answer."""
        return sorted(self.seconds)[math.ceil(share * len(self.seconds)) - 1]

    def slow(self, limit: float) -> int:
        """How many answers took longer than `limit` seconds."""
        return sum(each > limit for each in self.seconds)

    def with_failures_of(self, other: "Sample") -> "Sample":
        """Both together, as far as failures go."""
        return Sample(self.tries + other.tries, self.bad + other.bad)

    def figures(self) -> dict[str, float | int | None]:
        """For the record."""
        return {"tries": self.tries, "bad": self.bad, "median_seconds": self.median}

    def __str__(self) -> str:
        median = "" if self.median is None else f", median {self.median * 1000:.0f} ms"
        return f"{self.bad} of {self.tries} failed{median}"


@dataclass(frozen=True)
class Limits:
    """How much worse than the old release a new one may be."""

    errors: float
    """Additional share of failed requests, 0 to 1."""
    slower: float
    """Times the old release's median; an answer above it is a slow one."""


def worse(new: Sample, old: Sample, before: Sample, limits: Limits, late: bool = False) -> str | None:
    """Why the new release is worse than the old one; None if it is not, or nobody can tell yet.

    `before` is what the old one did when it had the share that the new one has now; empty where nobody has seen it. A
    failure is one at any load. A slow answer need not be the release's: on a busy machine the larger share queues
    longer. So a release is slow only if it is slow compared with both.

    `late`: the time of a watch is over, so there are fewer looks to come, and users wait for a release that is suspect.
    """
    if _fails(new, old, limits, LATE_CHANCE if late else CHANCE):
        return (
            f"it fails more often than the release before it: {new}; before it {old} "
            f"(`release_watch_errors` allows {limits.errors:.1%} more)\n"
            f"For example: {'; '.join(new.examples)}\n{WAY_OUT}"
        )
    if not old.seconds or not (said := _slower(new, old, 0.5, limits)):
        return None
    if before.seconds:
        if not (besides := _slower(new, before, QUEUED, limits)):
            return None
        said += f"; when that one had as many requests as this one has: {besides}"
    return f"it is slower than the release before it: {said}\n{WAY_OUT}"


def suspect(new: Sample, old: Sample, before: Sample, limits: Limits) -> bool:
    """Whether it fails more than the old one, and too few have asked to be sure.

    After the cutover hardly anybody asks the old one of a quiet site any more, so what it did before counts as well: as
    a reason to go on, and none to take a release back, since something else may have begun to fail meanwhile.
    """
    return _fails(new, old.with_failures_of(before), limits, SUSPECT_CHANCE)


def _fails(new: Sample, old: Sample, limits: Limits, below: float) -> bool:
    return new.share - old.share > limits.errors and chance(new.bad, new.tries, old.bad, old.tries) < below


def _slower(new: Sample, old: Sample, usual: float, limits: Limits) -> str | None:
    """The figures if too many of the new release's answers are slow, compared with what the old one usually took.

    `usual` is the share of the old one's answers that took no longer than that.
    """
    took = old.quantile(usual)
    limit = max(limits.slower * took, took + NOTICEABLE_SECONDS)
    slow_new, slow_old = new.slow(limit), old.slow(limit)
    count_new, count_old = len(new.seconds), len(old.seconds)
    if (
        not count_new
        or slow_new / count_new - slow_old / count_old <= SLOW_SHARE
        or chance(slow_new, count_new, slow_old, count_old) >= CHANCE
    ):
        return None
    return (
        f"{slow_new} of {count_new} answers took longer than {limit * 1000:.0f} ms, "
        f"before it {slow_old} of {count_old} "
        f"(medians {1000 * new.quantile(0.5):.0f} and {1000 * old.quantile(0.5):.0f} ms; "
        f"`release_watch_slower` allows {limits.slower:g} times)"
    )


def silent(new: int, old: int, share: float) -> bool:
    """Whether far fewer answers came from the new release than its share of the requests: it is asked, and is silent.

    nginx logs a request when it has ended, so one that is never answered is not in its log. Binomial test: `share` of
    all requests went to the new release.
    """
    both = new + old
    if new >= both * share / 2:
        return False
    return math.fsum(_binomial(count, both, share) for count in range(new + 1)) < CHANCE


def _binomial(count: int, of: int, share: float) -> float:
    return math.exp(_log_choose(of, count) + count * math.log(share) + (of - count) * math.log1p(-share))


def chance(bad_new: int, tries_new: int, bad_old: int, tries_old: int) -> float:
    """How likely it is that at least `bad_new` of all the bad ones fall on the new release if both are equally good.

    Fisher's exact test, one-sided: the tail of the hypergeometric distribution. See R. A. Fisher, "The logic of
    inductive inference", Journal of the Royal Statistical Society 98 (1935).
    """
    bad, tries = bad_new + bad_old, tries_new + tries_old
    most = min(bad, tries_new)
    return min(1.0, math.fsum(_terms(range(bad_new, most + 1), tries_new, bad, tries)))


def _terms(counts: Iterable[int], tries_new: int, bad: int, tries: int) -> Iterable[float]:
    whole = _log_choose(tries, bad)
    for count in counts:
        if bad - count > tries - tries_new:
            continue
        term = math.exp(_log_choose(tries_new, count) + _log_choose(tries - tries_new, bad - count) - whole)
        yield term
        if term < CHANCE * 1e-9 and count * tries > bad * tries_new:
            return  # beyond the middle each one is smaller than the one before


def _log_choose(of: int, some: int) -> float:
    return math.lgamma(of + 1) - math.lgamma(some + 1) - math.lgamma(of - some + 1)
