"""Measure rate, latency and memory by the number of workers, for each way in which a request can occupy a worker.

The load runs on the host itself and nothing is pinned to a CPU: the load generator, nginx, PostgreSQL and the app share
all cores, as they do on one VM.
"""

import statistics
from collections.abc import Sequence
from typing import Any

from labs.bench import known_costs, wrk
from labs.host import Host

WORKERS = (1, 2, 3, 4, 6, 8)
ROUTES = {"compute": 16, "block": 16, "thread": 128, "await": 64, "query": 64}
"""Routes of app/known_costs.py, each with its number of concurrent clients: more than one worker can serve."""

CONNECTIONS = 24
"""To PostgreSQL, of all workers together: divisible by every number of workers."""

KNEE_SHARE = 0.95
"""Of the best rate, reached at the knee."""

Samples = dict[int, list[dict[str, float]]]
"""By the number of workers: one entry a round."""


def measure(host: Host, workers: Sequence[int], rounds: int, seconds: int) -> dict[str, Any]:
    """Measure each route with each number of workers in each round. Figures are medians of the rounds."""
    samples: dict[str, Samples] = {name: {count: [] for count in workers} for name in ROUTES}
    memory: dict[int, list[float]] = {count: [] for count in workers}
    with host.foreign_cpus() as foreign:
        for count in [*workers] * rounds:
            known_costs.restart(host, count, CONNECTIONS)
            for name, clients in ROUTES.items():
                url = f"http://localhost/bench/{name}"
                sample = wrk.measure(host, f"{count} workers, {name}", url, "app@*.service", clients, seconds)
                samples[name][count].append(sample)
            memory[count].append(host.memory_mb())
    return {
        "foreign_cpus": foreign[0],
        "workers": list(workers),
        "routes": {name: _series(samples[name]) for name in ROUTES},
        "memory_mb": [statistics.median(memory[count]) for count in workers],
    }


def _series(samples: Samples) -> dict[str, Any]:
    """Return one value for each number of workers, and the knee."""
    keys = ("rate", "p99_ms", "cpu_us", "cores")
    series: dict[str, Any] = {
        key: [statistics.median(entry[key] for entry in entries) for entries in samples.values()] for key in keys
    }
    return series | {"knee": knee(list(samples), series["rate"])}


def knee(workers: Sequence[int], rates: Sequence[float]) -> int:
    """Return the fewest workers that reach KNEE_SHARE of the best rate."""
    return next(count for count, rate in zip(workers, rates, strict=True) if rate >= KNEE_SHARE * max(rates))
