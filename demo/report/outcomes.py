"""What each deploy did to the requests: the figures that stand at the top of the page."""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from demo.report.record import Deploy, Track
from demo.report.samples import WAITS, percentile

TRIAL = {"canary", "watch-canary", "cutover", "probe-front", "watch"}
"""Phases in which a release that is not kept yet has traffic."""


@dataclass(frozen=True)
class Outcome:
    """A deploy, and the requests that were sent from its beginning to the next one's."""

    deploy: Deploy
    requests: int
    failed: int
    in_canary: int
    """Of those that failed: how many the small slice answered."""
    p50: float | None
    p99: float | None
    """Milliseconds."""

    @property
    def trial_seconds(self) -> float:
        """How long it had traffic before it was taken back."""
        return sum(phase.seconds for phase in self.deploy.phases if phase.name in TRIAL)

    @property
    def spared(self) -> bool:
        """Whether nobody outside of the tenth that a release on trial gets was hurt."""
        return self.failed == self.in_canary and (self.deploy.kind == "bad" or not self.failed)


def outcomes(track: Track) -> list[Outcome]:
    """Each deploy with its requests. What came before the first belongs to the first."""
    canary = _answered_by_canary(track.access())
    begins = [deploy.began for deploy in track.deploys]
    bounds = [-math.inf, *begins[1:], math.inf]
    found = []
    for deploy, begin, end in zip(track.deploys, bounds, bounds[1:], strict=False):
        requests = [row for row in track.requests if begin <= row["t"] < end]
        failures = [row for row in track.failures if begin <= row["t"] < end]
        times = sorted(float(row["ms"]) for row in requests if row["r"] not in WAITS)
        in_canary = sum(row["id"] in canary for row in failures)
        shown = percentile(times, 0.5), percentile(times, 0.99)
        found.append(Outcome(deploy, len(requests), len(failures), in_canary, *shown))
    return found


def _answered_by_canary(lines: Iterable[str]) -> set[str]:
    """The ids of the requests whose last try was in the small slice."""
    found = set()
    for line in lines:
        request: dict[str, Any] = json.loads(line)
        if request["upstream_addr"].endswith("canary.sock"):
            found.add(request["request_id"])
    return found
