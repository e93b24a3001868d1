"""The table above the charts of `make try`: one row for each way of deploying."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from labs.report.record import Deploy, Track

HEADS = ["failed requests", "seconds to live", "sent for a change", "memory of the app"]


@dataclass(frozen=True)
class Way:
    """The measurements of one way of deploying."""

    name: str
    track: Track
    first_bytes: int
    memory: float
    """Megabytes between deploys."""
    peak_memory: float
    """Megabytes during deploys."""


def comparison(ways: Sequence[Way]) -> dict[str, Any]:
    """Return heads and rows for the page's template."""
    fewest = min(len(way.track.failures) for way in ways)
    return {"heads": HEADS, "rows": [_row(way, fewest) for way in ways]}


def _row(way: Way, fewest: int) -> dict[str, Any]:
    track, failed = way.track, len(way.track.failures)
    good = [deploy for deploy in track.deploys if deploy.kind == "good"]
    live = statistics.median(deploy.seconds_to_live or 0.0 for deploy in good)
    return {
        "name": way.name,
        "cells": [
            _cell(f"{failed:,}", f"of {len(track.requests):,}", "good" if failed == fewest else "bad"),
            _cell(f"{live:.1f} s", _watched(good)),
            _cell(_megabytes(statistics.median(deploy.bytes or 0 for deploy in good)), _first(way)),
            _cell(f"{way.memory:.0f} MB", f"peak {way.peak_memory:.0f} MB, during a deploy"),
        ],
    }


def _first(way: Way) -> str:
    return f"the first time {_megabytes(way.first_bytes)}"


def _watched(deploys: Sequence[Deploy]) -> str:
    watched = statistics.median(
        sum(phase.seconds for phase in deploy.phases if phase.name in {"watch-canary", "watch"}) for deploy in deploys
    )
    return f"{watched:.1f} s of it watched beside the earlier release" if watched else "not watched"


def _megabytes(count: float) -> str:
    if count < 1e5:
        return f"{count / 1e3:.1f} kB"
    return f"{count / 1e6:.2f} MB" if count < 1e7 else f"{count / 1e6:.0f} MB"


def _cell(value: str, note: str, mood: str = "") -> dict[str, str]:
    return {"value": value, "note": note, "mood": mood}


def as_text(table: dict[str, Any]) -> str:
    """Return the table for the terminal."""
    lines = []
    for row in table["rows"]:
        cells = [
            f"{head} {cell['value']} ({cell['note']})" for head, cell in zip(table["heads"], row["cells"], strict=True)
        ]
        lines.append(f"{row['name']}: {'; '.join(cells)}")
    return "\n".join(lines)
