"""Count the requests of each deploy: the figures at the top of the page."""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from labs.load.summary import response_times
from labs.percentile import percentile
from labs.report.record import Deploy, Track

TRIAL = {"canary", "watch-canary", "cutover", "probe-front", "watch"}
"""Phases in which a release that may still be aborted has traffic."""


@dataclass(frozen=True)
class Outcome:
    """A deploy, and the requests sent from its beginning to the beginning of the next deploy."""

    deploy: Deploy
    requests: int
    failed: int
    in_canary: int
    """Failed requests that the canary answered."""
    p50: float | None
    p99: float | None
    """Milliseconds."""

    @property
    def trial_seconds(self) -> float:
        """Seconds with traffic before the abort."""
        return sum(phase.seconds for phase in self.deploy.phases if phase.name in TRIAL)

    @property
    def contained(self) -> bool:
        """Tell whether the deploy had requests, and only those failed that a bad release answered as a canary."""
        expected = self.in_canary if self.deploy.kind == "bad" else 0
        return self.requests > 0 and self.failed == expected


def outcomes(track: Track) -> list[Outcome]:
    """Return each deploy with its requests. Requests before the first deploy count for the first."""
    canary = _answered_by_canary(track.access())
    begins = [deploy.started_at for deploy in track.deploys]
    bounds = [-math.inf, *begins[1:], math.inf]
    found = []
    for deploy, begin, end in zip(track.deploys, bounds, bounds[1:], strict=False):
        requests = [row for row in track.requests if begin <= row["t"] < end]
        failures = [row for row in track.failures if begin <= row["t"] < end]
        times = response_times(requests)
        in_canary = sum(row["id"] in canary for row in failures)
        p50, p99 = (percentile(times, percent) if times else None for percent in (50, 99))
        found.append(Outcome(deploy, len(requests), len(failures), in_canary, p50, p99))
    return found


def _answered_by_canary(lines: Iterable[str]) -> set[str]:
    """Return the ids of the requests whose last attempt went to the canary."""
    found = set()
    for line in lines:
        request: dict[str, Any] = json.loads(line)
        if request["upstream_addr"].endswith("canary.sock"):
            found.add(request["request_id"])
    return found
