"""Measure how long following a link takes while pictures are made: in the event loop, in threads, in the task queue.

Links are followed at a steady rate by many slow clients, so that a stalled worker delays responses but not requests.
"""

import json
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from labs.bench import known_costs
from labs.command import LabError, progress
from labs.host import Host
from labs.http import request
from labs.load.process import Options, read_lines, under_load
from labs.load.summary import response_times
from labs.percentile import percentile

WORKERS = 2
"""Of the web: one a core of a small VM. The queue has as many processes as there are cores, too."""
CONNECTIONS = 20
"""To PostgreSQL."""
PICTURES = 20
"""Made at once."""
RATE = 100
"""Links followed per second."""
IDLE_SECONDS = 0.5
"""Of load without pictures, in each round."""
PAUSE_SECONDS = 0.3
"""Between two methods, for requests in flight."""
MAX_SECONDS = 60.0
"""For the pictures of one round; longer, and no worker takes tasks from the queue."""
HOST_HEADER = "localhost"

Window = tuple[float, float]
"""Epoch seconds."""


def measure(host: Host, folder: Path, rounds: int) -> dict[str, Any]:
    """Make pictures by each method in each round; the response times of all rounds count together.

    Raises:
        LabError: a request failed, or the pictures were not made.
    """
    known_costs.restart(host, WORKERS, CONNECTIONS)
    url = host.url()
    links = " ".join(f"307 /{slug}" for slug in create_links(url))
    options = Options(url, RATE, HOST_HEADER, links, client_rate=1.0, niceness=-10)
    windows: dict[str, list[Window]] = {name: [] for name in METHODS}
    with (
        under_load(folder, options, lead_seconds=1) as load,
        host.foreign_cpus(lambda: load.cpu_seconds() + time.process_time()) as foreign,
    ):
        for _ in range(rounds):
            for name, make in METHODS.items():
                slugs = create_links(url)
                time.sleep(PAUSE_SECONDS)
                started_at = time.time()
                make(url, slugs)
                windows[name].append((started_at, time.time()))
                progress("bench", f"{PICTURES} pictures, {name}: {windows[name][-1][1] - started_at:.2f} s")
    if failures := read_lines(folder / "failures.jsonl"):
        first = failures[0]
        raise LabError(f"{len(failures)} requests failed, the first: GET /{first['path']}: {first['error']}")
    requests = read_lines(folder / "requests.jsonl")
    return {
        "foreign_cpus": foreign[0],
        "methods": {name: figures(requests, windows[name]) for name in METHODS},
    }


def figures(requests: Sequence[dict[str, Any]], windows: Sequence[Window]) -> dict[str, float]:
    """Return percentiles (ms) and number of the requests sent in the windows, and the windows' median length (s)."""
    sent = [each for each in requests if any(begin <= each["t"] < end for begin, end in windows)]
    times = response_times(sent)
    if not times:
        raise LabError("no link was followed while pictures were made: more --rounds")
    return {
        "p50_ms": percentile(times, 50),
        "p99_ms": percentile(times, 99),
        "requests": len(times),
        "seconds": statistics.median(end - begin for begin, end in windows),
    }


def create_links(url: str) -> list[str]:
    """Create PICTURES links. Returns their slugs."""
    body = json.dumps({"url": "https://example.org/"})
    return [json.loads(expect(201, url, "POST", "/links", body))["slug"] for _ in range(PICTURES)]


def expect(status: int, url: str, method: str, path: str, body: str = "") -> bytes:
    """Send a request and return the body of the response.

    Raises:
        LabError: the status is another.
    """
    got, content = request(url, path, host_header=HOST_HEADER, method=method, body=body, timeout=MAX_SECONDS)
    if got != status:
        raise LabError(f"{method} {path}: status {got} instead of {status}: {content.decode(errors='replace')[:200]}")
    return content


def make_none(_url: str, _slugs: Sequence[str]) -> None:
    """Make no pictures, for comparison."""
    time.sleep(IDLE_SECONDS)


def make_in_loop(url: str, slugs: Sequence[str]) -> None:
    """Make all pictures at once in the workers' event loops."""
    _post_all(200, url, [f"/bench/qr/loop/{slug}" for slug in slugs])


def make_in_threads(url: str, slugs: Sequence[str]) -> None:
    """Make all pictures at once in the workers' threads."""
    _post_all(200, url, [f"/bench/qr/thread/{slug}" for slug in slugs])


def make_in_queue(url: str, slugs: Sequence[str]) -> None:
    """Request all pictures at once and wait until the task queue has made them."""
    _post_all(202, url, [f"/links/{slug}/qr" for slug in slugs])
    deadline = time.monotonic() + MAX_SECONDS
    for slug in slugs:
        while (status := request(url, f"/links/{slug}/qr.png", host_header=HOST_HEADER)[0]) == 202:
            if time.monotonic() > deadline:
                raise LabError(f"the task queue made no picture of {slug} within {MAX_SECONDS:g} s")
            time.sleep(0.02)
        if status != 200:
            raise LabError(f"GET /links/{slug}/qr.png: status {status} instead of 200")


METHODS: dict[str, Callable[[str, Sequence[str]], None]] = {
    "none": make_none,
    "loop": make_in_loop,
    "thread": make_in_threads,
    "queue": make_in_queue,
}


def _post_all(status: int, url: str, paths: Sequence[str]) -> None:
    with ThreadPoolExecutor(len(paths)) as pool:
        list(pool.map(lambda path: expect(status, url, "POST", path), paths))
