"""Draw panels above one axis: SVG that is stretched to the page's width, and HTML texts that are not."""

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from slipway.report.samples import Samples

HEIGHT = 100.0
STEPS = (1, 2, 5)
GROUP_GAP = 4
"""Bins without failures between two groups that are counted separately."""

Point = tuple[float, float]


@dataclass(frozen=True)
class Key:
    """An entry of a panel's legend."""

    colour: str
    """A class of the style sheet."""
    text: str


@dataclass(frozen=True)
class Tick:
    """A line across a panel and its text; `place` is percent from the top, or from the left."""

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
    """Class and path, in drawing order."""
    notes: list[Tick] = field(default_factory=list)
    """Texts at places of the axis."""


def rate(samples: Samples) -> Panel:
    """Draw the requests per second."""
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
    """Draw the failed requests: a visible bar for every bin that has one."""
    counts = [each.failed for each in samples.bins]
    total = sum(counts)
    key = Key("c-failed" if total else "c-fine", f"{total:,} failed" if total else "none failed")
    return events("failures", "failed requests", counts, key)


def events(name: str, title: str, counts: Sequence[int], key: Key) -> Panel:
    """Draw what should not happen: a visible bar for every bin that has one."""
    top = max([*counts, 1])
    width = 100 / len(counts)
    # The square root and the offset keep a single one visible beside thousands.
    bars = [
        f"M{_n(index * width)} 100V{_n(100 - 15 - 85 * math.sqrt(count / top))}H{_n((index + 1) * width)}V100Z"
        for index, count in enumerate(counts)
        if count
    ]
    shapes = [("bar c-failed", "".join(bars))] if bars else []
    notes = [Tick((peak + 0.5) * width, f"{count:,}") for peak, count in _peaks(counts)]
    return Panel(name, title, [key], [], shapes, notes)


def latency(samples: Samples, title: str = "response time, measured by the client") -> Panel:
    """Draw percentiles of the response time, on a logarithmic axis."""
    series = {
        Key("c-p99", "p99"): [each.p99 for each in samples.bins],
        Key("c-p95", "p95"): [each.p95 for each in samples.bins],
        Key("c-p50", "p50"): [each.p50 for each in samples.bins],
    }
    return logarithmic("latency", title, series)


def logarithmic(name: str, title: str, series: Mapping[Key, Sequence[float | None]]) -> Panel:
    """Draw lines of milliseconds on a logarithmic axis; a line breaks where there is no value."""
    low, high = _decades([value for values in series.values() for value in values if value is not None])

    def height(value: float) -> float:
        return HEIGHT * (1 - (math.log10(max(value, 10**low)) - low) / (high - low))

    ticks = [Tick(height(10**power), _milliseconds(10**power)) for power in range(low, high + 1)]
    return Panel(name, title, list(series), ticks, _lines(series, height))


def linear(name: str, title: str, series: Mapping[Key, Sequence[float | None]], top: float) -> Panel:
    """Draw lines on an axis from 0 to `top`; a line breaks where there is no value."""

    def height(value: float) -> float:
        return HEIGHT * (1 - value / top)

    ticks = [Tick(height(value), f"{value:g}") for value in steps(top)]
    return Panel(name, title, list(series), ticks, _lines(series, height))


def shares(samples: Samples, names: dict[str, str]) -> Panel | None:
    """Draw the stacked share of each release; `names` are by release, in the order of the deploys."""
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
    """Return the marks of the time axis, in seconds since its beginning."""
    whole = samples.end - samples.begin
    step = nice(whole / 12)
    return [Tick(100 * at * step / whole, f"{at * step:g} s") for at in range(int(whole / step) + 1)]


def clock_axis(samples: Samples) -> list[Tick]:
    """Return the marks of the time axis in UTC: every two hours, or every day if there are more than two."""
    whole = samples.end - samples.begin
    step, form = (7200, "%H:%M") if whole <= 2 * 86_400 else (86_400, "%a %d %b")
    first = -(-int(samples.begin) // step) * step
    moments = range(first, int(samples.end), step)
    return [Tick(100 * (at - samples.begin) / whole, time.strftime(form, time.gmtime(at))) for at in moments]


def nice(value: float) -> float:
    """Round up to 1, 2 or 5 times a power of ten."""
    power = 10 ** math.floor(math.log10(value)) if value > 0 else 1
    return float(next((step * power for step in (*STEPS, 10) if step * power >= value * 0.999), 10 * power))


def steps(top: float) -> list[float]:
    """Return a few round values from 0 to `top`."""
    step = nice(top / 4)
    return [step * count for count in range(int(top / step + 0.001) + 1)]


def _lines(series: Mapping[Key, Sequence[float | None]], height: Callable[[float], float]) -> list[tuple[str, str]]:
    return [
        (f"line {key.colour}", _dotted([((index + 0.5) * 100 / len(values), height(value)) for index, value in part]))
        for key, values in series.items()
        for part in _parts(values)
    ]


def _decades(values: Sequence[float]) -> tuple[int, int]:
    """Return the powers of ten that enclose the values."""
    if not values:
        return 0, 3
    low = math.floor(math.log10(max(0.1, min(values))))
    return low, max(low + 1, math.ceil(math.log10(max(values))))


def _milliseconds(value: float) -> str:
    return f"{value / 1000:g} s" if value >= 1000 else f"{value:g} ms"


def _peaks(counts: Sequence[int]) -> list[tuple[int, int]]:
    """Return the highest bin and the sum of each group of neighbouring failures."""
    groups: list[list[int]] = []
    for index in (index for index, count in enumerate(counts) if count):
        if groups and index - groups[-1][-1] <= GROUP_GAP:
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
    """Return a point in the middle of each bin, extended to the ends of the axis."""
    width = 100 / len(values)
    points = [((index + 0.5) * width, HEIGHT * (1 - value / top)) for index, value in enumerate(values)]
    return [(0.0, points[0][1]), *points, (100.0, points[-1][1])]


def _stairs(shares: Sequence[float]) -> list[Point]:
    """Return a step for each bin: a share does not change gradually."""
    width = 100 / len(shares)
    return [(x * width, HEIGHT * (1 - share)) for index, share in enumerate(shares) for x in (index, index + 1)]


def _line(points: Iterable[Point]) -> str:
    return "M" + "L".join(f"{_n(x)} {_n(y)}" for x, y in points)


def _dotted(points: Sequence[Point]) -> str:
    """Return a line; a closed one if it has a single point, which is drawn as a dot."""
    return _line(points) + "Z" * (len(points) == 1)


def _area(points: Sequence[Point]) -> str:
    return f"{_line(points)}L{_n(points[-1][0])} 100L{_n(points[0][0])} 100Z"


def _n(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
