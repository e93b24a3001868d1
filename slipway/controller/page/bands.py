"""Lay out the phases of the deploys as bands on the time axis, with labels that do not overlap."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from slipway.report.routing import Phase
from slipway.report.samples import Samples

KINDS = {
    "ship": "prepare",
    "backup": "prepare",
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
    "hold": "cutover",
    "keep": "cutover",
    "retire": "tidy",
    "prune": "tidy",
    "abort": "back",
    "docker rm -f": "back",
    "docker run": "back",
    "unavailable": "back",
    "operator notices": "trial",
}
"""The colour of a band by phase. Others, such as the marks of a load, are plain."""
LABEL_GAP = 1.5
"""Percent of the axis between two labels."""


class Deploy(Protocol):
    """A deploy or a rollback."""

    name: str
    kind: str
    started_at: float
    ended_at: float
    phases: list[Phase]


@dataclass(frozen=True)
class Band:
    """A phase on the axis; places are in percent of its length."""

    name: str
    kind: str
    left: float
    width: float
    label: float
    """The place of the label."""
    title: str
    """Name and duration."""


@dataclass(frozen=True)
class Span:
    """A deploy above its phases."""

    name: str
    kind: str
    left: float
    width: float


def percent(samples: Samples, at: float) -> float:
    """Return a moment's place on the axis, 0 to 100."""
    return min(100.0, max(0.0, 100 * (at - samples.begin) / (samples.end - samples.begin)))


def bands(samples: Samples, deploys: Iterable[Deploy]) -> list[Band]:
    """Return every phase that is within the axis."""
    phases = [phase for deploy in deploys for phase in deploy.phases]
    return lay_out(samples, [(phase, KINDS.get(phase.name, "plain")) for phase in phases])


def lay_out(samples: Samples, phases: Iterable[tuple[Phase, str]]) -> list[Band]:
    """Return those of these phases that are within the axis, each with its colour."""
    visible = sorted((each for each in phases if _visible(samples, each[0])), key=lambda each: each[0].at)
    edges = [(percent(samples, phase.at), percent(samples, phase.end)) for phase, _ in visible]
    places = spread([(left + right) / 2 for left, right in edges], LABEL_GAP)
    return [
        Band(phase.name, kind, left, right - left, label, f"{phase.name} {phase.seconds:.2f} s")
        for (phase, kind), (left, right), label in zip(visible, edges, places, strict=True)
    ]


def spans(samples: Samples, deploys: Iterable[Deploy]) -> list[Span]:
    """Return every deploy, from its beginning to its last phase."""
    found = []
    for deploy in deploys:
        left = percent(samples, deploy.started_at)
        end = max([deploy.ended_at, *(phase.end for phase in deploy.phases)])
        found.append(Span(deploy.name, deploy.kind, left, percent(samples, end) - left))
    return found


def spread(wanted: Sequence[float], gap: float) -> list[float]:
    """Return places in the same order, near the wanted ones, each at least `gap` from the next."""
    groups: list[list[float]] = []  # neighbours that move together
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
