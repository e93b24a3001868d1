"""Bar charts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Bar:
    """One row of a bar chart."""

    label: str
    percent: float
    """Of the longest bar."""
    text: str
    own: bool = True
    """Slipway's own figure, not one that it is compared with."""


@dataclass(frozen=True)
class Bars:
    """A bar chart."""

    title: str
    rows: list[Bar]


def bars(title: str, values: Mapping[str, float], form: str, own: Sequence[str] | None = None) -> Bars:
    """Make a bar chart. `form` formats a value; `own` are the labels that are not compared with, by default all."""
    top = max([*values.values(), 0.0]) or 1.0
    return Bars(
        title,
        [
            Bar(label, 100 * value / top, form.format(value), own is None or label in own)
            for label, value in values.items()
        ],
    )
