"""Draws the figures: `chart.py figures.json FOLDER`. Run with bench's own environment (pyproject.toml)."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.ticker import LogLocator

OURS, OTHERS = "#1b6ca8", "#b8c4ce"
RESOLUTION = 110
COLORS = {"compute": "#c0392b", "block": "#e08e0b", "thread": "#2e8b57", "await": "#1b6ca8", "query": "#7d5ba6"}
ROUTES = {
    "compute": "computes",
    "block": "computes and blocks, half each",
    "thread": "waits in a thread (def)",
    "await": "waits with await",
    "query": "waits for PostgreSQL, 24 connections",
}
LABELS = {"ours": "Slipway", "textbook": "textbook", "direct": "gunicorn\nwithout nginx"}


def main() -> None:
    """Read, draw each picture whose parts were measured, print where it is."""
    figures: dict[str, dict[str, Any]] = json.loads(Path(sys.argv[1]).read_text())
    for name, (parts, draw) in PICTURES.items():
        if parts <= set(figures):
            place = Path(sys.argv[2]) / f"{name}.png"
            draw(*(figures[part] for part in sorted(parts))).savefig(place, dpi=RESOLUTION)
            print(place)


def _overview(deploying: dict[str, Any], serving: dict[str, Any]) -> Any:
    picture, ((rates, latency), (verbs, phases)) = plt.subplots(2, 2, figsize=(11, 7), layout="constrained")
    _compare(rates, "requests per second", serving["rates"], "{:,.0f}")
    _compare(latency, "99th percentile, ms", serving["p99_ms"], "{:.1f}")
    _bars(
        verbs,
        "seconds",
        {
            "site.yml, bare": deploying["site_bare"],
            "site.yml again": deploying["site_again"],
            "deploy.yml, to live": deploying["deploy_live"],
            "rollback.yml": deploying["rollback"],
            "slipway rollback": deploying["rollback_on_host"],
        },
    )
    _bars(phases, "seconds of a deploy, on the host", deploying["phases"])
    picture.suptitle(f"{serving['workers']} workers each, the same app, one machine, in turns: medians")
    return picture


def _scaling(figures: dict[str, Any]) -> Any:
    workers = figures["workers"]
    picture, (rates, latency, memory) = plt.subplots(1, 3, figsize=(12, 4.4), layout="constrained")
    for name, route in figures["routes"].items():
        best = max(route["rate"])
        line = rates.plot(workers, [rate / best for rate in route["rate"]], "-", color=COLORS[name], label=ROUTES[name])
        at = workers.index(route["knee"])
        rates.plot(route["knee"], route["rate"][at] / best, "o", color=line[0].get_color())
        latency.plot(workers, route["p99_ms"], ".-", color=COLORS[name])
    rates.set_ylim(0, 1.08)
    latency.set_yscale("log")
    latency.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    latency.yaxis.set_major_formatter("{x:g}")
    latency.yaxis.set_minor_formatter("")
    memory.bar([str(count) for count in workers], figures["memory_mb"], color=OURS, width=0.6)
    memory.bar_label(memory.containers[0], fmt="{:.0f}", padding=2)
    for axes in (rates, latency):
        axes.set_xticks(workers)
        axes.grid(axis="y", color="#e6eaee")
        axes.set_axisbelow(True)
    for axes, title in (
        (rates, "requests per second, of the route's best; dot: the knee"),
        (latency, "99th percentile, ms"),
        (memory, "memory of all workers (PSS), MB"),
    ):
        axes.set_xlabel("workers")
        _plain(axes, title)
    picture.legend(loc="outside lower center", ncols=len(ROUTES), frameon=False, fontsize=9)
    return picture


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


PICTURES: dict[str, tuple[set[str], Callable[..., Any]]] = {
    "chart": ({"deploying", "serving"}, _overview),
    "scaling": ({"scaling"}, _scaling),
}
"""What is drawn: of which parts, by their names in order, and how."""


if __name__ == "__main__":
    main()
