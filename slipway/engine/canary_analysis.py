"""Canary analysis: whether a new release is worse than the old one, by two samples of the same traffic.

Both slices get a random share of the same requests at the same time, so that every other influence (the hour, a slow
database) acts on both. A difference counts when it is large enough to matter, which the site decides, and significant:
Fisher's exact test, one-sided, which holds for three requests as well as for a million.
"""

import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field

from slipway.engine.access_log import CLIENT_LEFT, Attempt

ALPHA = 1e-4
"""Significance level of each look. Small, since a watch looks many times and each look may be wrong: in simulations of
a whole watch, under one in a thousand was."""
LATE_ALPHA = 3e-4
"""The same at the end of a watch, and for a suspect release, which is watched longer. In simulations of whole deploys
an equal release was rejected in at most 4 of 1,000, with 30% failing in each; in at most 1 with 10%."""
SUSPECT_ALPHA = 0.25
"""A release that fails more is watched longer below this p-value. The first failure of a quiet site is below, if it is
in the new release's tenth of the requests."""
NOTICEABLE_SECONDS = 0.02
"""An answer that comes later by less than this does not count, however many times slower it is."""
SLOW_SHARE = 0.25
"""This share of the answers must have become slow."""
QUEUED = 0.9
"""With the larger share, the usual time is the 90th percentile. In a queue delays are correlated: seconds of a queue
are few observations, and their median is luck. In simulations of a machine at its limit an equal release was called
slow in one of five watches by the median, in one of forty by this."""

MAX_EXAMPLES = 3
OVERRIDE = "To deploy it without the comparison: -e release_watch=false"


@dataclass
class Sample:
    """The attempts that a release got while it was watched, and their outcome."""

    attempts: int = 0
    failed: int = 0
    seconds: list[float] = field(default_factory=list)
    """How long each answer took to begin."""
    examples: list[str] = field(default_factory=list)
    """The first that failed, in words."""

    def add(self, attempt: Attempt, timed: bool = True) -> None:
        """Count an attempt. `timed`: how long it took counts as well."""
        self.attempts += 1
        self.failed += attempt.failed
        if attempt.failed and len(self.examples) < MAX_EXAMPLES:
            self.examples.append(f"{attempt.request}: {attempt.status or 'no answer'}")
        # A 4xx is quick. A release that repairs a route answers it more slowly than the one that refused it.
        refused = attempt.status is not None and 400 <= attempt.status < 500 and attempt.status != CLIENT_LEFT
        if timed and attempt.seconds is not None and not attempt.failed and not refused:
            self.seconds.append(attempt.seconds)

    @property
    def share(self) -> float:
        """The share of the attempts that failed."""
        return self.failed / self.attempts if self.attempts else 0.0

    @property
    def median(self) -> float | None:
        """The median time until an answer began, in seconds."""
        return statistics.median(self.seconds) if self.seconds else None

    def quantile(self, share: float) -> float:
        """The time within which that share of the answers began, in seconds. Of no answers there is none."""
        return sorted(self.seconds)[math.ceil(share * len(self.seconds)) - 1]

    def slow(self, limit: float) -> int:
        """The number of answers that took longer than `limit` seconds."""
        return sum(each > limit for each in self.seconds)

    def with_failures_of(self, other: "Sample") -> "Sample":
        """Both together, as far as failures go."""
        return Sample(self.attempts + other.attempts, self.failed + other.failed)

    def figures(self) -> dict[str, float | int | None]:
        """For the record."""
        return {"attempts": self.attempts, "failed": self.failed, "median_seconds": self.median}

    def __str__(self) -> str:
        median = "" if self.median is None else f", median {self.median * 1000:.0f} ms"
        return f"{self.failed} of {self.attempts} failed{median}"


@dataclass(frozen=True)
class Limits:
    """How much worse than the old release a new one may be."""

    errors: float
    """Additional share of failed requests, 0 to 1."""
    slower: float
    """Times the old release's median; an answer above it is a slow one."""


def worse(new: Sample, old: Sample, before: Sample, limits: Limits, late: bool = False) -> str | None:
    """Why the new release is worse than the old one; None if it is not, or the samples are too small.

    `before` is the sample of the old release when it had the share that the new one has now; empty in a first watch. A
    failure is one at any load. A slow answer need not be the release's: on a busy machine the larger share queues
    longer. So a release is slow only if it is slow compared with both.

    `late`: the time of the watch is over, so there are fewer looks to come, and users wait for a suspect release.
    """
    if _fails(new, old, limits, LATE_ALPHA if late else ALPHA):
        return (
            f"the new release fails more often than the old one: {new}; old: {old} "
            f"(`release_watch_errors` allows {limits.errors:.1%} more)\n"
            f"For example: {'; '.join(new.examples)}\n{OVERRIDE}"
        )
    if not old.seconds or not (figures := _slower(new, old, 0.5, limits)):
        return None
    if before.seconds:
        if not (at_that_share := _slower(new, before, QUEUED, limits)):
            return None
        figures += f"; when the old one had this share of the requests: {at_that_share}"
    return f"the new release is slower than the old one: {figures}\n{OVERRIDE}"


def suspect(new: Sample, old: Sample, before: Sample, limits: Limits) -> bool:
    """Whether the new release fails more than the old one, after too few requests to be sure.

    After the cutover the old release of a quiet site gets hardly any request, so its earlier sample counts as well: as
    a reason to go on watching, and none to abort, since another system may have begun to fail meanwhile.
    """
    return _fails(new, old.with_failures_of(before), limits, SUSPECT_ALPHA)


def _fails(new: Sample, old: Sample, limits: Limits, alpha: float) -> bool:
    p_value = fisher_p_value(new.failed, new.attempts, old.failed, old.attempts)
    return new.share - old.share > limits.errors and p_value < alpha


def _slower(new: Sample, old: Sample, usual: float, limits: Limits) -> str | None:
    """The figures if too many of the new release's answers are slow, compared with the usual time of the old one.

    `usual` is the share of the old one's answers that took no longer than the usual time.
    """
    usual_seconds = old.quantile(usual)
    limit = max(limits.slower * usual_seconds, usual_seconds + NOTICEABLE_SECONDS)
    slow_new, slow_old = new.slow(limit), old.slow(limit)
    count_new, count_old = len(new.seconds), len(old.seconds)
    if (
        not count_new
        or slow_new / count_new - slow_old / count_old <= SLOW_SHARE
        or fisher_p_value(slow_new, count_new, slow_old, count_old) >= ALPHA
    ):
        return None
    return (
        f"{slow_new} of {count_new} answers took longer than {limit * 1000:.0f} ms, "
        f"old: {slow_old} of {count_old} "
        f"(medians {1000 * new.quantile(0.5):.0f} and {1000 * old.quantile(0.5):.0f} ms; "
        f"`release_watch_slower` allows {limits.slower:g} times)"
    )


def silent(new: int, old: int, share: float) -> bool:
    """Whether far fewer answers came from the new release than its share of the requests: it gets them, and is silent.

    nginx logs a request when it has ended, so one that is never answered is not in its log. Binomial test: `share` of
    all requests went to the new release.
    """
    both = new + old
    if new >= both * share / 2:
        return False
    return math.fsum(_binomial(count, both, share) for count in range(new + 1)) < ALPHA


def _binomial(count: int, of: int, share: float) -> float:
    return math.exp(_log_choose(of, count) + count * math.log(share) + (of - count) * math.log1p(-share))


def fisher_p_value(failed_new: int, attempts_new: int, failed_old: int, attempts_old: int) -> float:
    """The probability that at least `failed_new` of all failures fall on the new release if both are equally good.

    Fisher's exact test, one-sided: the tail of the hypergeometric distribution. See R. A. Fisher, "The logic of
    inductive inference", Journal of the Royal Statistical Society 98 (1935).
    """
    failed, attempts = failed_new + failed_old, attempts_new + attempts_old
    counts = range(failed_new, min(failed, attempts_new) + 1)
    return min(1.0, math.fsum(_terms(counts, attempts_new, failed, attempts)))


def _terms(counts: Iterable[int], attempts_new: int, failed: int, attempts: int) -> Iterable[float]:
    whole = _log_choose(attempts, failed)
    attempts_old = attempts - attempts_new
    for count in counts:
        if failed - count > attempts_old:
            continue
        term = math.exp(_log_choose(attempts_new, count) + _log_choose(attempts_old, failed - count) - whole)
        yield term
        if term < ALPHA * 1e-9 and count * attempts > failed * attempts_new:
            return  # beyond the mode each term is smaller than the one before


def _log_choose(of: int, some: int) -> float:
    return math.lgamma(of + 1) - math.lgamma(some + 1) - math.lgamma(of - some + 1)
