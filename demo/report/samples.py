"""From requests to what is drawn: the same short stretches of time for every line."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from demo.report.record import Deploy, Track
from slipway.access_log import first_try

WIDTHS = (0.5, 1, 2, 5, 10, 30, 60, 300)
"""Seconds that a stretch may last."""
MOST = 160
"""Stretches on a page: more cannot be told from each other."""
WAITS = {"/slow"}
"""Routes that take their time on purpose."""


@dataclass
class Bin:
    """What happened in one stretch."""

    answered: int = 0
    failed: int = 0
    p50: float | None = None
    """Milliseconds, as the other two; None: no answer."""
    p95: float | None = None
    p99: float | None = None
    shares: dict[str, float] = field(default_factory=dict)
    """Of the requests that nginx passed on, by the release that they went to; 0 to 1."""
    wrong: list[str] = field(default_factory=list)
    """What failed, in words, each kind once."""


@dataclass
class Samples:
    """A track, cut into stretches of `width` seconds, the first of which begins at `begin`."""

    begin: float
    width: float
    bins: list[Bin]

    @property
    def end(self) -> float:
        """When the last one is over."""
        return self.begin + self.width * len(self.bins)


@dataclass(frozen=True)
class Pointing:
    """Which release each slice of the traffic goes to, from a moment on."""

    at: float
    live: str
    canary: str


def sample(track: Track) -> Samples:
    """Cut a track into stretches. A last one that is not whole is left out."""
    begin = track.begin
    width = next((each for each in WIDTHS if (track.end - begin) / each <= MOST), WIDTHS[-1])
    count = max(1, int((track.end - begin) / width))
    samples = Samples(begin, width, [Bin() for _ in range(count)])
    failed = Counter(_index(samples, failure["t"]) for failure in track.failures)
    for index, requests in _by_bin(samples, track.requests).items():
        times = sorted(float(request["ms"]) for request in requests if request["r"] not in WAITS)
        each = samples.bins[index]
        each.failed = failed[index]
        each.answered = max(0, len(requests) - each.failed)
        each.p50, each.p95, each.p99 = (percentile(times, part) for part in (0.5, 0.95, 0.99))
    for index, failures in _by_bin(samples, track.failures).items():
        kinds = Counter(in_words(failure) for failure in failures)
        samples.bins[index].wrong = [f"{count} x {kind}" for kind, count in kinds.most_common(4)]
    for index, shares in _shares(samples, track).items():
        samples.bins[index].shares = shares
    return samples


def percentile(values: Sequence[float], part: float) -> float | None:
    """The value that `part` (0 to 1) of the sorted values do not exceed (nearest rank); None of none."""
    return values[max(0, math.ceil(len(values) * part) - 1)] if values else None


def in_words(failure: dict[str, Any]) -> str:
    """What failed, without what differs between two of a kind."""
    return f"{failure['m']} {failure['r']}: {failure['s'] or 'no answer'}"


def pointings(deploys: Iterable[Deploy]) -> list[Pointing]:
    """Which release each slice went to, and when that changed: what the phases of the deploys say.

    nginx may use a connection to the release before for two seconds longer.
    """
    changes: list[Pointing] = []
    for deploy in deploys:
        new, old = deploy.release, deploy.before
        changes = changes or [Pointing(-math.inf, old, old)]
        watched = any(phase.name == "canary" for phase in deploy.phases)
        for phase in deploy.phases:
            match phase.name:
                case "canary":
                    changes.append(Pointing(phase.end, old, new))
                case "cutover":
                    changes.append(Pointing(phase.end, new, old if watched else new))
                case "complete":
                    changes.append(Pointing(phase.end, new, new))
                case "take back":
                    changes.append(Pointing(phase.at, old, old))
    return changes


def _shares(samples: Samples, track: Track) -> dict[int, dict[str, float]]:
    changes = pointings(track.deploys)
    counts: dict[int, Counter[str]] = defaultdict(Counter)
    for each in filter(None, map(first_try, track.access())):
        at = max((change for change in changes if change.at <= each.began), key=lambda change: change.at, default=None)
        index = _index(samples, each.began)
        if at is not None and index is not None:
            counts[index][at.live if each.slice == "live" else at.canary] += 1
    return {index: {release: count / row.total() for release, count in row.items()} for index, row in counts.items()}


def _by_bin(samples: Samples, rows: Iterable[dict[str, Any]]) -> dict[int, list[dict[str, Any]]]:
    placed = [(index, row) for row in rows if (index := _index(samples, row["t"])) is not None]
    placed.sort(key=lambda pair: pair[0])
    return {index: [row for _, row in pairs] for index, pairs in groupby(placed, key=lambda pair: pair[0])}


def _index(samples: Samples, at: float) -> int | None:
    index = int((at - samples.begin) / samples.width)
    return index if 0 <= index < len(samples.bins) else None
