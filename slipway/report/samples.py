"""Bins of equal length, the samples of every chart."""

from dataclasses import dataclass, field


@dataclass
class Bin:
    """One bin: what happened in `width` seconds."""

    answered: int = 0
    failed: int = 0
    p50: float | None = None
    """Milliseconds, as p95 and p99; None: no response."""
    p95: float | None = None
    p99: float | None = None
    shares: dict[str, float] = field(default_factory=dict)
    """By release: its share of the requests that nginx proxied, 0 to 1."""
    errors: list[str] = field(default_factory=list)
    """The kinds of failures with their counts."""


@dataclass
class Samples:
    """A time cut into bins of `width` seconds, from `begin` (epoch seconds) on."""

    begin: float
    width: float
    bins: list[Bin]

    @property
    def end(self) -> float:
        """The end of the last bin, in epoch seconds."""
        return self.begin + self.width * len(self.bins)

    def index(self, at: float) -> int | None:
        """Return the number of the bin of a moment; None if it is in none."""
        index = int((at - self.begin) // self.width)
        return index if 0 <= index < len(self.bins) else None
