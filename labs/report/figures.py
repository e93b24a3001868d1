"""Draw the figures of the bench: bars for what is compared, lines over the number of workers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labs.report.page import write
from slipway.controller.page import chart
from slipway.controller.page.bars import Bars, bars
from slipway.controller.page.chart import Key, Panel, Tick

SETUPS = {"slipway": "Slipway", "baseline": "baseline", "direct": "gunicorn without nginx"}
ROUTES = {
    "compute": "computes",
    "block": "computes and blocks, half each",
    "thread": "waits in a thread (def)",
    "await": "waits with await",
    "query": "waits for PostgreSQL, 24 connections",
}
WAYS = {
    "socket-kept": "handed socket, kept connections",
    "port-kept": "port, kept connections",
    "socket-each": "handed socket, a connection for each request",
    "port-each": "port, a connection for each request",
}
PLATFORMS = {"vm": "one VM", "vms": "two VMs and a data host", "swarm": "Swarm", "kubernetes": "Kubernetes"}
METHODS = {"none": "no pictures", "loop": "event loop", "thread": "threads", "queue": "task queue"}


@dataclass(frozen=True)
class Group:
    """The charts of one part of the bench."""

    title: str
    bars: list[Bars] = field(default_factory=list)
    panels: list[Panel] = field(default_factory=list)
    axis: list[Tick] = field(default_factory=list)


def write_page(folder: Path, figures: Mapping[str, dict[str, Any]], intro: str = "Medians.") -> Path:
    """Draw the parts that were measured and have a chart. Returns the page's path. `intro` says what they are."""
    groups = [PARTS[name](values) for name, values in figures.items() if name in PARTS]
    return write(folder, "figures.html.j2", title="Performance, measured", intro=intro, groups=groups)


def _serving(figures: dict[str, Any]) -> Group:
    def compare(title: str, key: str, form: str) -> Bars:
        return bars(title, {SETUPS[name]: value for name, value in figures[key].items()}, form, own=["Slipway"])

    return Group(
        f"Serving: {figures['workers']} workers each, the same app, in turns",
        [
            compare("requests per second", "rates", "{:,.0f}"),
            compare("99th percentile, ms", "p99_ms", "{:.1f}"),
            compare("CPU time per request, us", "cpu_us", "{:.0f}"),
            compare("memory of all workers (PSS), MB", "memory_mb", "{:.0f}"),
        ],
    )


def _port(figures: dict[str, Any]) -> Group:
    def compare(title: str, key: str, form: str) -> Bars:
        return bars(title, {name: figures[key][setup] for setup, name in WAYS.items()}, form)

    return Group(
        "An image that listens on a port, beside the same with the handed socket",
        [
            compare("requests per second", "rate", "{:,.0f}"),
            compare("99th percentile, ms", "p99_ms", "{:.1f}"),
            compare("CPU time per request, us", "cpu_us", "{:.0f}"),
        ],
    )


def _deploying(figures: dict[str, Any]) -> Group:
    verbs = {
        "site.yml, bare host": figures["site_bare"],
        "site.yml again": figures["site_again"],
        "deploy.yml, to live": figures["deploy_live"],
        "rollback.yml": figures["rollback"],
        "slipway rollback": figures["rollback_on_host"],
    }
    return Group("Deploying", [bars("seconds", verbs, "{:.1f}"), bars("phases, seconds", figures["phases"], "{:.2f}")])


def _scaling(figures: dict[str, Any]) -> Group:
    workers, routes = figures["workers"], figures["routes"]
    keys = {name: Key(f"c-release-{number}", ROUTES[name]) for number, name in enumerate(routes)}
    rates = {keys[name]: [100 * rate / max(route["rate"]) for rate in route["rate"]] for name, route in routes.items()}
    times = {keys[name]: route["p99_ms"] for name, route in routes.items()}
    memory = {f"{count} workers": mb for count, mb in zip(workers, figures["memory_mb"], strict=True)}
    knees = {ROUTES[name]: route["knee"] for name, route in routes.items()}
    ticks = [Tick((index + 0.5) * 100 / len(workers), str(count)) for index, count in enumerate(workers)]
    return Group(
        "Scaling: by the number of workers",
        [bars("knee: fewest workers at 95 % of the best rate", knees, "{:.0f}"), bars("memory, MB", memory, "{:.0f}")],
        [
            chart.linear("scaling", "requests per second, percent of the route's best", rates, top=108),
            chart.logarithmic("scaling", "99th percentile", times),
        ],
        ticks,
    )


def _queue(figures: dict[str, Any]) -> Group:
    def by_method(key: str) -> dict[str, float]:
        return {METHODS[name]: values[key] for name, values in figures["methods"].items()}

    return Group(
        "Queue: following a link while 20 pictures are made",
        [
            bars("99th percentile, ms", by_method("p99_ms"), "{:.1f}"),
            bars("median, ms", by_method("p50_ms"), "{:.1f}"),
            bars("until the pictures are made, seconds", by_method("seconds"), "{:.2f}"),
        ],
    )


def _platforms(figures: dict[str, Any]) -> Group:
    def of_each(title: str, key: str, form: str) -> Bars:
        return bars(title, {PLATFORMS[name]: values[key] for name, values in figures.items()}, form)

    return Group(
        "A deploy, on one platform after another",
        [
            of_each("seconds of the deploy", "seconds", "{:.1f}"),
            of_each("failed requests", "failures", "{:,.0f}"),
            of_each("99th percentile, ms", "p99_ms", "{:,.0f}"),
            of_each("memory before, MB", "idle_mb", "{:,.0f}"),
            of_each("memory at its peak, MB", "peak_mb", "{:,.0f}"),
        ],
    )


PARTS: dict[str, Callable[[dict[str, Any]], Group]] = {
    "deploying": _deploying,
    "serving": _serving,
    "port": _port,
    "scaling": _scaling,
    "queue": _queue,
    "platforms": _platforms,
}
