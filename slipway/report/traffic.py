"""Count the requests of nginx's access log by time, route and release."""

import heapq
import json
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from slipway.engine.access_log import BETWEEN_ATTEMPTS
from slipway.report.routes import NOT_FOUND, fold, route
from slipway.report.routing import Routing
from slipway.report.samples import Bin, Samples
from slipway.report.tally import Tally, rounded

MAX_ROUTES, SHOWN_ROUTES, SLOWEST = 1000, 40, 20
OTHER = "other routes"
MAX_ERRORS = 4
"""Kinds of failures of a bin that are told."""


class Traffic:
    """What was requested in a time. Its memory is bounded: by the number of bins, routes and different times."""

    def __init__(self, samples: Samples, changes: Sequence[Routing]) -> None:
        """Count into `samples`. `changes` of the release of each slice, oldest first."""
        self.samples = samples
        self.damaged = 0
        self._changes = changes
        self._moments = [change.at for change in changes]
        self._bins = [Tally() for _ in samples.bins]
        self._errors: list[Counter[str]] = [Counter() for _ in samples.bins]
        self._by_release: list[Counter[str]] = [Counter() for _ in samples.bins]
        self._routes: dict[str, Tally] = {}
        self._foldable = True
        self._releases: dict[tuple[str, str], Tally] = defaultdict(Tally)
        self._slowest: list[tuple[int, int, dict[str, Any]]] = []
        self._count = 0

    def read(self, lines: Iterable[bytes]) -> None:
        """Count lines of the log. One that is no request is `damaged`."""
        for line in lines:
            try:
                self._add(json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError):
                self.damaged += 1

    def _add(self, entry: dict[str, Any]) -> None:
        seconds, status, part = float(entry["seconds"]), int(entry["status"]), str(entry["slice"])
        began = float(entry["time"]) - seconds
        index = self.samples.index(began)
        if index is None:
            return
        milliseconds = round(1000 * _until_response(str(entry["upstream_header_seconds"]), seconds))
        kind = self._kind(entry, status, part)
        time = rounded(milliseconds)
        release = self._release(began, part)
        self._count += 1
        self._bins[index].add(status, time)
        self._routes.setdefault(kind, Tally()).add(status, time)
        if release:
            self._releases[release, part].add(status, time)
            self._by_release[index][release] += 1
        if status >= 500:
            self._errors[index][f"{kind}: {status}"] += 1
        if len(self._slowest) < SLOWEST or milliseconds > self._slowest[0][0]:
            self._keep((milliseconds, self._count, _told(entry, began, release)))

    def _kind(self, entry: dict[str, Any], status: int, part: str) -> str:
        if not part:
            kind = f"nginx itself: {status}"
        elif status == 404:
            kind = NOT_FOUND
        else:
            kind = route(str(entry["method"]), str(entry["uri"]), str(entry.get("route") or ""))
        if kind in self._routes or len(self._routes) < MAX_ROUTES:
            return kind
        if self._foldable:
            fold(self._routes)
            # If that hardly helps, it is not tried again, since it takes time.
            self._foldable = len(self._routes) < MAX_ROUTES / 2
        return kind if self._foldable else OTHER

    def _release(self, at: float, part: str) -> str:
        if part not in {"live", "canary"}:
            return ""
        change = self._changes[max(0, bisect_right(self._moments, at) - 1)]
        return change.live if part == "live" else change.canary

    def _keep(self, request: tuple[int, int, dict[str, Any]]) -> None:
        if len(self._slowest) < SLOWEST:
            heapq.heappush(self._slowest, request)
        else:
            heapq.heapreplace(self._slowest, request)

    def to_json(self) -> dict[str, Any]:
        """The document: totals, bins, routes (the most used first), releases, and the slowest requests."""
        total = Tally()
        for tally in self._bins:
            total.merge(tally)
        return {
            "total": total.to_json(),
            "damaged_lines": self.damaged,
            "width": self.samples.width,
            "bins": [asdict(self._bin(index)) for index in range(len(self._bins))],
            "routes": self._route_rows(),
            "releases": [
                {"release": release, "slice": part} | tally.to_json()
                for (release, part), tally in self._releases.items()
            ],
            "slowest": [{"milliseconds": each[0]} | each[2] for each in sorted(self._slowest, reverse=True)],
        }

    def _bin(self, index: int) -> Bin:
        tally, releases = self._bins[index], self._by_release[index]
        p50, p95, p99 = tally.percentiles(50, 95, 99)
        return Bin(
            tally.requests - tally.failed,
            tally.failed,
            p50,
            p95,
            p99,
            {release: count / releases.total() for release, count in releases.items()},
            [f"{count} x {kind}" for kind, count in self._errors[index].most_common(MAX_ERRORS)],
        )

    def _route_rows(self) -> list[dict[str, Any]]:
        other = self._routes.pop(OTHER, Tally())
        fold(self._routes)
        ranked = sorted(self._routes.items(), key=lambda item: -item[1].requests)
        for _, tally in ranked[SHOWN_ROUTES:]:
            other.merge(tally)
        shown = [*ranked[:SHOWN_ROUTES], *([(OTHER, other)] if other.requests else [])]
        return [{"route": name} | tally.to_json() for name, tally in shown]


def _until_response(header_seconds: str, seconds: float) -> float:
    """Return how long a client waited for the response to begin, over all attempts: a stream may last for hours."""
    try:
        return float(header_seconds)
    except ValueError:
        parts = BETWEEN_ATTEMPTS.split(header_seconds)
        # Without a response, by nginx itself, or since the client left: the whole time.
        return sum(map(float, parts)) if all(part not in {"", "-"} for part in parts) else seconds


def _told(entry: dict[str, Any], began: float, release: str) -> dict[str, Any]:
    """Return what the page tells of one request: no query and no address, which may be private."""
    texts = {name: str(entry.get(name, "")) for name in ("method", "request_id", "user_agent")}
    path = str(entry["uri"]).partition("?")[0]
    return texts | {"path": path, "status": entry["status"], "at": began, "release": release}
