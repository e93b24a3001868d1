"""Cut a track into bins of equal length, the samples of every chart."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from itertools import groupby
from typing import Any

from labs.load.summary import response_times
from labs.percentile import percentile
from labs.report.record import Track
from slipway.engine.access_log import first_attempt
from slipway.report.routing import routings
from slipway.report.samples import Bin, Samples

WIDTHS = (0.5, 1, 2, 5, 10, 30, 60, 300)
"""Seconds that a bin may last."""
MAX_BINS = 160
"""On a page; more cannot be distinguished."""


def sample(track: Track) -> Samples:
    """Cut a track into bins. An incomplete last bin is left out."""
    begin = track.begin
    width = next((each for each in WIDTHS if (track.end - begin) / each <= MAX_BINS), WIDTHS[-1])
    count = max(1, int((track.end - begin) / width))
    samples = Samples(begin, width, [Bin() for _ in range(count)])
    failed = Counter(samples.index(failure["t"]) for failure in track.failures)
    for index, requests in _by_bin(samples, track.requests).items():
        times = response_times(requests)
        each = samples.bins[index]
        each.failed = failed[index]
        each.answered = max(0, len(requests) - each.failed)
        each.p50, each.p95, each.p99 = (percentile(times, percent) if times else None for percent in (50, 95, 99))
    for index, failures in _by_bin(samples, track.failures).items():
        kinds = Counter(kind_of(failure) for failure in failures)
        samples.bins[index].errors = [f"{count} x {kind}" for kind, count in kinds.most_common(4)]
    for index, shares in _shares(samples, track).items():
        samples.bins[index].shares = shares
    return samples


def kind_of(failure: dict[str, Any]) -> str:
    """Return method, route and status: what failures of one kind have in common."""
    return f"{failure['m']} {failure['r']}: {failure['s'] or 'no response'}"


def _shares(samples: Samples, track: Track) -> dict[int, dict[str, float]]:
    changes = routings(track.deploys)
    counts: dict[int, Counter[str]] = defaultdict(Counter)
    for each in filter(None, map(first_attempt, track.access())):
        at = max((change for change in changes if change.at <= each.began), key=lambda change: change.at, default=None)
        index = samples.index(each.began)
        if at is not None and index is not None:
            counts[index][at.live if each.slice == "live" else at.canary] += 1
    return {index: {release: count / row.total() for release, count in row.items()} for index, row in counts.items()}


def _by_bin(samples: Samples, rows: Iterable[dict[str, Any]]) -> dict[int, list[dict[str, Any]]]:
    placed = [(index, row) for row in rows if (index := samples.index(row["t"])) is not None]
    placed.sort(key=lambda pair: pair[0])
    return {index: [row for _, row in pairs] for index, pairs in groupby(placed, key=lambda pair: pair[0])}
