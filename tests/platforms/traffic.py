"""The load of labs/load while a block runs."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

RATE = 150
"""Requests per second."""
FIGURES = ("requests", "failures", "rps", "p50", "p99", "max", "took")

Run = Callable[..., CompletedProcess[str]]


@contextmanager
def traffic(run: Run, url: str, folder: Path, name: str, lead: float = 4, rate: int = RATE) -> Iterator[dict[str, Any]]:
    """Send traffic while the block runs, and `lead` seconds before and after; fills what it yields.

    `run` runs a command where the URL can be reached.
    """
    load = (sys.executable, "-m", "labs.load")
    directory = f"--directory={folder}"
    started = run(*load, "start", name, directory, f"--url={url}", f"--rate={rate}")
    assert started.returncode == 0, started.stdout + started.stderr
    summary: dict[str, Any] = {}
    try:
        time.sleep(lead)
        began = time.monotonic()
        yield summary
        summary["took"] = round(time.monotonic() - began, 1)
        time.sleep(lead)
    finally:
        done = run(*load, "stop", name, directory, "--max-failures=1000000", "--min-rate=1", "--max-gap=60")
        if done.stdout:
            summary |= json.loads(done.stdout)
            figures = {key: summary[key] for key in FIGURES if key in summary}
            print(f"load {name}: {figures}; failed: {summary['failed'][:5]}")
