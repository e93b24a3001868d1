"""Requests per second, latency and memory by the number of workers, for each way in which a request can keep one.

The numbers in turns, and the routes in turns under each. The load runs on the host itself, and nothing is pinned:
the load generator, nginx, PostgreSQL and the app share all cores, as they do on one VM.
"""

import statistics
from collections.abc import Sequence
from typing import Any

from bench import measured
from bench.host import Host
from bench.load import load, memory

WORKERS = (1, 2, 3, 4, 6, 8)
ROUTES = {"compute": 16, "block": 16, "thread": 128, "await": 64, "query": 64}
"""Each route of app/measured.py, and how many clients ask it at once: more than one worker can serve."""

CONNECTIONS = 24
"""To PostgreSQL, of all workers together: can be divided by every number of them."""

ENOUGH = 0.95
"""Of the best rate: more workers than the fewest that reach it are no use."""

Samples = dict[int, list[dict[str, float]]]
"""By the number of workers, what each round measured."""


def measure(host: Host, rounds: int, seconds: int) -> dict[str, Any]:
    """Measure each route with each number of workers in each round. Every figure is the median of the rounds."""
    samples: dict[str, Samples] = {name: {workers: [] for workers in WORKERS} for name in ROUTES}
    used: dict[int, list[float]] = {workers: [] for workers in WORKERS}
    with host.alone() as others:
        for workers in WORKERS * rounds:
            measured.restart(host, workers, CONNECTIONS)
            for name, clients in ROUTES.items():
                url = f"http://localhost/bench/{name}"
                got = load(host, f"{workers} workers, {name}", url, "app@*.service", clients, seconds)
                samples[name][workers].append(got)
            used[workers].append(memory(host, "app@*.service"))
    return {
        "others": others[0],
        "workers": list(WORKERS),
        "routes": {name: _series(samples[name]) for name in ROUTES},
        "memory_mb": [statistics.median(used[workers]) for workers in WORKERS],
    }


def _series(samples: Samples) -> dict[str, Any]:
    """What is drawn of a route: one value for each number of workers, and where more stop to help."""
    keys = ("rate", "p99_ms", "cpu_us", "cores")
    series: dict[str, Any] = {
        key: [statistics.median(entry[key] for entry in taken) for taken in samples.values()] for key in keys
    }
    return series | {"knee": knee(list(samples), series["rate"])}


def knee(workers: Sequence[int], rates: Sequence[float]) -> int:
    """The fewest workers that reach nearly the best rate of all."""
    return next(count for count, rate in zip(workers, rates, strict=True) if rate >= ENOUGH * max(rates))
