"""Panels above one time axis, as SVG that is stretched to the page's width; text is HTML beside it, so it is not."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from demo.report.samples import Bin, Samples

HEIGHT = 100.0
STEPS = (1, 2, 5)
APART = 4
"""Stretches between two groups of failures that are counted by themselves."""

Point = tuple[float, float]


@dataclass(frozen=True)
class Key:
    """An entry of a panel's legend."""

    colour: str
    """A class of the style sheet."""
    text: str


@dataclass(frozen=True)
class Tick:
    """A line across a panel and its text; in percent from the top, or from the left."""

    place: float
    text: str


@dataclass
class Panel:
    """One chart."""

    name: str
    title: str
    keys: list[Key]
    ticks: list[Tick]
    shapes: list[tuple[str, str]]
    """Class and path, in the order of drawing."""
    notes: list[Tick] = field(default_factory=list)
    """Texts at moments."""


def rate(samples: Samples) -> Panel:
    """Requests per second."""
    answered = [each.answered / samples.width for each in samples.bins]
    top = nice(max(answered, default=1) * 1.15)
    return Panel(
        "rate",
        "requests per second",
        [Key("c-rate", "answered")],
        [Tick(100 * (1 - value / top), f"{value:g}") for value in steps(top)],
        [("area c-rate", _area(_curve(answered, top))), ("line c-rate", _line(_curve(answered, top)))],
    )


def failures(samples: Samples) -> Panel:
    """Failed requests: a bar wherever there is one, as high as can be seen."""
    counts = [each.failed for each in samples.bins]
    top = max([*counts, 1])
    width = 100 / len(counts)
    # One of many must be seen as well: the root lifts what is small, and nothing is drawn thinner than it is wide.
    bars = [
        f"M{_n(index * width)} 100V{_n(100 - 15 - 85 * math.sqrt(count / top))}H{_n((index + 1) * width)}V100Z"
        for index, count in enumerate(counts)
        if count
    ]
    total = sum(counts)
    return Panel(
        "failures",
        "failed requests",
        [Key("c-failed" if total else "c-fine", f"{total:,} failed" if total else "none failed")],
        [],
        [("bar c-failed", "".join(bars))] if bars else [],
        [Tick((peak + 0.5) * width, f"{count:,}") for peak, count in _peaks(counts)],
    )


def latency(samples: Samples) -> Panel:
    """Percentiles of the response time, on a logarithmic axis."""
    lines: dict[str, Callable[[Bin], float | None]] = {
        "p99": lambda each: each.p99,
        "p95": lambda each: each.p95,
        "p50": lambda each: each.p50,
    }
    values = [value for read in lines.values() for each in samples.bins if (value := read(each))]
    low, high = _decades(values)

    def height(value: float) -> float:
        share = (math.log10(max(value, 10**low)) - low) / (high - low)
        return HEIGHT * (1 - share)

    shapes = []
    for name, read in lines.items():
        # Nobody is answered for a while: the line breaks there.
        for part in _parts([read(each) for each in samples.bins]):
            points = [((index + 0.5) * 100 / len(samples.bins), height(value)) for index, value in part]
            shapes.append((f"line c-{name}", _line(points)))
    ticks = [Tick(height(10**power), _milliseconds(10**power)) for power in range(low, high + 1)]
    keys = [Key(f"c-{name}", name) for name in lines]
    return Panel("latency", "response time, seen by the client", keys, ticks, shapes)


def shares(samples: Samples, names: dict[str, str]) -> Panel | None:
    """The part of the requests that each release got, stacked; `names` are the releases' in the order of deploying."""
    releases = [name for name in names if any(name in each.shares for each in samples.bins)]
    if not releases:
        return None
    floor = [0.0] * len(samples.bins)
    shapes, keys = [], []
    for number, release in enumerate(releases):
        roof = [low + each.shares.get(release, 0.0) for low, each in zip(floor, samples.bins, strict=True)]
        upper, lower = _stairs(roof), _stairs(floor)
        shapes.append((f"stack c-release-{number % 6}", _line([*upper, *reversed(lower)]) + "Z"))
        keys.append(Key(f"c-release-{number % 6}", names[release]))
        floor = roof
    ticks = [Tick(100 - part, f"{part} %") for part in (0, 50, 100)]
    return Panel("shares", "traffic by release", keys, ticks, shapes)


def seconds_axis(samples: Samples) -> list[Tick]:
    """Marks of the time axis, in seconds since its beginning."""
    whole = samples.end - samples.begin
    step = nice(whole / 12)
    return [Tick(100 * at * step / whole, f"{at * step:g} s") for at in range(int(whole / step) + 1)]


def nice(value: float) -> float:
    """The next round number: 1, 2 or 5 times a power of ten."""
    power = 10 ** math.floor(math.log10(value)) if value > 0 else 1
    return float(next((step * power for step in (*STEPS, 10) if step * power >= value * 0.999), 10 * power))


def steps(top: float) -> list[float]:
    """A few round values from 0 to `top`."""
    step = nice(top / 4)
    return [step * count for count in range(int(top / step + 0.001) + 1)]


def _decades(values: Sequence[float]) -> tuple[int, int]:
    """The powers of ten that the values lie between."""
    if not values:
        return 0, 3
    low = math.floor(math.log10(max(0.1, min(values))))
    return low, max(low + 1, math.ceil(math.log10(max(values))))


def _milliseconds(value: float) -> str:
    return f"{value / 1000:g} s" if value >= 1000 else f"{value:g} ms"


def _peaks(counts: Sequence[int]) -> list[tuple[int, int]]:
    """Of each group of neighbours that are not zero: where it is highest, and its sum."""
    groups: list[list[int]] = []
    for index in (index for index, count in enumerate(counts) if count):
        if groups and index - groups[-1][-1] <= APART:
            groups[-1].append(index)
        else:
            groups.append([index])
    return [(max(group, key=lambda index: counts[index]), sum(counts[index] for index in group)) for group in groups]


def _parts(values: Sequence[float | None]) -> list[list[tuple[int, float]]]:
    parts: list[list[tuple[int, float]]] = [[]]
    for index, value in enumerate(values):
        if value is None:
            parts.append([])
        else:
            parts[-1].append((index, value))
    return [part for part in parts if part]


def _curve(values: Sequence[float], top: float) -> list[Point]:
    """A value in the middle of each stretch, drawn to the axis' ends."""
    width = 100 / len(values)
    points = [((index + 0.5) * width, HEIGHT * (1 - value / top)) for index, value in enumerate(values)]
    return [(0.0, points[0][1]), *points, (100.0, points[-1][1])]


def _stairs(shares: Sequence[float]) -> list[Point]:
    """A share of each stretch, as steps: between two releases there is nothing in between."""
    width = 100 / len(shares)
    return [(x * width, HEIGHT * (1 - share)) for index, share in enumerate(shares) for x in (index, index + 1)]


def _line(points: Iterable[Point]) -> str:
    return "M" + "L".join(f"{_n(x)} {_n(y)}" for x, y in points)


def _area(points: Sequence[Point]) -> str:
    return f"{_line(points)}L{_n(points[-1][0])} 100L{_n(points[0][0])} 100Z"


def _n(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
