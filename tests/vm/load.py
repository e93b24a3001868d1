"""A bounded load from outside, and which of its requests failed."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from labs.load.process import Load, Options, under_load
from tests.vm.site import NAME, Site

RATE = 2.0
"""Requests per second: at 5 an emulated core on a busy machine has nothing left for a deploy."""


@contextmanager
def clients(site: Site, folder: Path) -> Iterator[Load]:
    """Send requests while the block runs, and a while before and after."""
    with under_load(folder, Options(site.url, rate=RATE, host_header=NAME, paths="200 /")) as load:
        yield load


def failures(load: Load, since: float = 0) -> list[dict[str, Any]]:
    """Return the requests that failed, of those that were sent from a moment on (epoch seconds)."""
    return [each for each in load.lines("failures.jsonl") if each["t"] >= since]


def answered(load: Load, since: float = 0) -> list[dict[str, Any]]:
    """Return the requests that were answered by 200, likewise."""
    return [each for each in load.lines("requests.jsonl") if each["t"] >= since and each["s"] == 200]
