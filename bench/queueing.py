"""How long it takes to follow a link while pictures are made: in the event loop, in threads, and in the task queue."""

import json
import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import measured
from bench.host import Host

WORKERS = 2
"""Of the web, one for each core of a small VM. The queue has as many processes as there are cores, too."""

ASKER = (Path(__file__).parent / "asker.py").read_text()


def measure(host: Host, rounds: int) -> dict[str, Any]:
    """Make the pictures in each way in each round. A way's times of all rounds count together."""
    measured.restart(host, WORKERS, connections=20)
    with host.alone() as others:
        said = json.loads(_ask(host, rounds))
    ways = {
        way: {
            "p50_ms": percentile(times, 50),
            "p99_ms": percentile(times, 99),
            "requests": len(times),
            "seconds": statistics.median(said["seconds"][way]),
        }
        for way, times in said["ms"].items()
    }
    return {"others": others[0], "ways": ways}


def _ask(host: Host, rounds: int) -> str:
    # With precedence: what is measured is how late the server is, and not the client.
    return host.shell(f"nice --adjustment=-10 python3 - {rounds} <<'END'\n{ASKER}\nEND")


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest of the values that at least so many of them do not exceed."""
    return sorted(values)[math.ceil(len(values) * percent / 100) - 1]
