"""Draws the figures: `chart.py figures.json chart.png`. Run with bench's own environment (pyproject.toml)."""

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt

OURS, OTHERS = "#1b6ca8", "#b8c4ce"
LABELS = {"ours": "Slipway", "textbook": "textbook", "direct": "gunicorn\nwithout nginx"}


def main() -> None:
    """Read, draw, save."""
    figures: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text())
    picture, ((rates, latency), (verbs, phases)) = plt.subplots(2, 2, figsize=(11, 7), layout="constrained")
    _compare(rates, "requests per second", figures["rates"], "{:,.0f}")
    _compare(latency, "99th percentile, ms", figures["p99_ms"], "{:.1f}")
    _bars(
        verbs,
        "seconds",
        {
            "site.yml, bare": figures["site_bare"],
            "site.yml again": figures["site_again"],
            "deploy.yml, to live": figures["deploy_live"],
            "rollback.yml": figures["rollback"],
            "slipway rollback": figures["rollback_on_host"],
        },
    )
    _bars(phases, "seconds of a deploy, on the host", figures["phases"])
    picture.suptitle(f"{figures['workers']} workers each, the same app, one machine, in turns: medians")
    picture.savefig(sys.argv[2], dpi=150)


def _compare(axes: Any, title: str, values: dict[str, float], form: str) -> None:
    bars = axes.bar([LABELS[name] for name in values], list(values.values()), width=0.6)
    for bar, name in zip(bars, values, strict=True):
        bar.set_color(OURS if name == "ours" else OTHERS)
    axes.bar_label(bars, [form.format(value) for value in values.values()], padding=2)
    _plain(axes, title)


def _bars(axes: Any, title: str, values: dict[str, float]) -> None:
    bars = axes.barh(list(values), list(values.values()), color=OURS, height=0.6)
    axes.invert_yaxis()
    axes.bar_label(bars, [f"{value:.2f}" if value < 1 else f"{value:.1f}" for value in values.values()], padding=3)
    _plain(axes, title)


def _plain(axes: Any, title: str) -> None:
    axes.set_title(title, loc="left", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.12, y=0.12)


if __name__ == "__main__":
    main()
