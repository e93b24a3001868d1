"""Count requests and their response times in bounded memory."""

import math
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

EXACT_BITS = 6
"""Milliseconds below 64 are counted as they are; of longer ones the first six binary digits: at most 3 % too low."""


def rounded(milliseconds: int) -> int:
    """Round a time down, so that few different ones remain."""
    shift = max(0, milliseconds.bit_length() - EXACT_BITS)
    return milliseconds >> shift << shift


@dataclass
class Tally:
    """Requests of one kind."""

    failed: int = 0
    """With a status of 500 or above."""
    refused: int = 0
    """With a status from 400 to 499."""
    times: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    """How many requests took so many milliseconds, which are rounded."""

    def add(self, status: int, time: int) -> None:
        """Count a request. `time`: see `rounded`."""
        self.times[time] += 1
        if status >= 500:
            self.failed += 1
        elif status >= 400:
            self.refused += 1

    def merge(self, other: "Tally") -> None:
        """Add what another one counted."""
        self.failed += other.failed
        self.refused += other.refused
        for time, count in other.times.items():
            self.times[time] += count

    @property
    def requests(self) -> int:
        """All of them."""
        return sum(self.times.values())

    def percentiles(self, *percents: float) -> list[int | None]:
        """Return the milliseconds that so many percent do not exceed, by the nearest rank; None without requests.

        `percents`: ascending.
        """
        ranks = [max(1, math.ceil(self.requests * percent / 100)) for percent in percents]
        found: list[int | None] = []
        seen = 0
        for time in sorted(self.times):
            seen += self.times[time]
            while len(found) < len(ranks) and seen >= ranks[len(found)]:
                found.append(time)
        return found + [None] * (len(ranks) - len(found))

    def to_json(self) -> dict[str, Any]:
        """The counts, and the percentiles in milliseconds."""
        p50, p95, p99 = self.percentiles(50, 95, 99)
        counts = {"requests": self.requests, "failed": self.failed, "refused": self.refused}
        return counts | {"p50": p50, "p95": p95, "p99": p99}
