"""The phases of the deploys as bands on the time axis, and their labels where they do not cover each other."""

from collections.abc import Sequence
from dataclasses import dataclass

from demo.report.record import Deploy, Phase
from demo.report.samples import Samples

KINDS = {
    "ship": "prepare",
    "migrate": "prepare",
    "start": "prepare",
    "probe": "prepare",
    "canary": "trial",
    "watch-canary": "trial",
    "hand-over": "cutover",
    "cutover": "cutover",
    "probe-front": "cutover",
    "watch": "cutover",
    "complete": "cutover",
    "keep": "cutover",
    "retire": "tidy",
    "prune": "tidy",
    "take back": "back",
    "docker rm -f": "back",
    "docker run": "back",
    "nobody serves": "back",
    "somebody looks": "trial",
}
"""How a band is coloured. Others, such as the marks of a load, are plain."""
LABEL_GAP = 1.5
"""Between two labels, in percent of the axis."""


@dataclass(frozen=True)
class Band:
    """A phase on the axis; everything is in percent of its length."""

    name: str
    kind: str
    left: float
    width: float
    label: float
    """Where the label stands."""
    title: str
    """Name and duration, in words."""


@dataclass(frozen=True)
class Span:
    """A deploy above its phases."""

    name: str
    kind: str
    left: float
    width: float


def percent(samples: Samples, at: float) -> float:
    """A moment's place on the axis, 0 to 100."""
    return min(100.0, max(0.0, 100 * (at - samples.begin) / (samples.end - samples.begin)))


def bands(samples: Samples, deploys: Sequence[Deploy]) -> list[Band]:
    """Every phase that the axis shows."""
    phases = [phase for deploy in deploys for phase in deploy.phases if _visible(samples, phase)]
    phases.sort(key=lambda phase: phase.at)
    edges = [(percent(samples, phase.at), percent(samples, phase.end)) for phase in phases]
    places = spread([(left + right) / 2 for left, right in edges], LABEL_GAP)
    return [
        Band(
            phase.name, KINDS.get(phase.name, "plain"), left, right - left, label, f"{phase.name} {phase.seconds:.2f} s"
        )
        for phase, (left, right), label in zip(phases, edges, places, strict=True)
    ]


def spans(samples: Samples, deploys: Sequence[Deploy]) -> list[Span]:
    """Every deploy, from its first phase to its last."""
    found = []
    for deploy in deploys:
        left = percent(samples, deploy.began)
        end = max([deploy.ended, *(phase.end for phase in deploy.phases)])
        found.append(Span(deploy.name, deploy.kind, left, percent(samples, end) - left))
    return found


def spread(wanted: Sequence[float], gap: float) -> list[float]:
    """Places in the same order, as near as can be to those that are wanted, each at least `gap` from the next."""
    groups: list[list[float]] = []  # neighbours that had to move together
    for place in sorted(wanted):
        groups.append([place])
        while len(groups) > 1 and _first(groups[-1], gap) < _first(groups[-2], gap) + len(groups[-2]) * gap:
            last = groups.pop()
            groups[-1] += last
    return [_first(group, gap) + index * gap for group in groups for index in range(len(group))]


def _first(group: Sequence[float], gap: float) -> float:
    width = (len(group) - 1) * gap
    return max(0.0, min(100.0 - width, sum(group) / len(group) - width / 2))


def _visible(samples: Samples, phase: Phase) -> bool:
    return phase.end >= samples.begin and phase.at <= samples.end
