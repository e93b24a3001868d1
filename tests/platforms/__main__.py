"""`tools/run python -m tests.platforms`: what a deploy costs on one VM, on several, on Swarm, on Kubernetes.

The same images, load and machine, one platform after another; each with PostgreSQL and a broker. Prints a table; the
figures and a page of charts are in .cache/platforms.

    tools/run python -m tests.platforms --only vm --only swarm
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from labs.command import ROOT, progress
from labs.host import sum_of_pss_mb
from labs.report.figures import write_page
from labs.trial.memory import PeakMemory
from tests.kubernetes import cluster as kubernetes
from tests.platforms import hosts, images
from tests.platforms.traffic import RATE, Run, traffic
from tests.swarm import swarm as swarms

FOLDER = ROOT / ".cache/platforms"
ENGINE = "dockerd|containerd|containerd-shim-runc-v2"
SETTLE_SECONDS = 20
"""Until what was started or stopped has done so."""
Figures = dict[str, float]


@dataclass(frozen=True)
class Platform:
    """One that serves the first release."""

    urls: Sequence[str]
    """The load is shared between them."""
    run: Run
    """Runs a command where they can be reached."""
    deploy: Callable[[str], None]
    """Deploys a release, and returns when the one before is gone."""
    memory_mb: Callable[[], float]
    """The memory of the engine, the data and the app."""


@contextmanager
def on_hosts(names: Sequence[str]) -> Iterator[Platform]:
    """Run on app hosts; several share a data host."""
    images.build()
    with hosts.Hosts(names).serving("first") as found:
        yield Platform(found.urls, _here, found.deploy, found.memory_mb)


@contextmanager
def on_swarm() -> Iterator[Platform]:
    """Run on a swarm of one node. This machine's engine counts, also for what else it runs."""
    with swarms.running(FOLDER / "swarm") as swarm:

        def memory_mb() -> float:
            shown = [swarm.engine.docker("top", one, "-o", "pid") for one in swarm.engine.containers("status=running")]
            pids = [pid for text in shown for pid in text.split()[1:]]
            pids += _here("pgrep", "--exact", ENGINE).stdout.split()
            return sum_of_pss_mb(_here("sh", "-c", hosts.pss(*pids)).stdout)

        def deploy(name: str) -> None:
            done = swarm.deploy(name)
            assert done.returncode == 0, done.stderr
            swarm.settle()

        yield Platform([swarm.url], swarm.engine.run, deploy, memory_mb)


@contextmanager
def on_kubernetes() -> Iterator[Platform]:
    """Run on a cluster of one node."""
    with kubernetes.running(FOLDER / "kubernetes") as cluster:

        def deploy(name: str) -> None:
            done = cluster.deploy(name)
            assert done.returncode == 0, done.stdout + done.stderr

        def memory_mb() -> float:
            return sum_of_pss_mb(cluster.node.run("sh", "-c", hosts.pss()).stdout)

        yield Platform([cluster.url()], cluster.node.run, deploy, memory_mb)


PLATFORMS: dict[str, Callable[[], AbstractContextManager[Platform]]] = {
    "vm": lambda: on_hosts(["platforms-1"]),
    "vms": lambda: on_hosts(["platforms-1", "platforms-2"]),
    "swarm": on_swarm,
    "kubernetes": on_kubernetes,
}


def measure(platform: Platform, folder: Path) -> Figures:
    """Deploy the second release under load. Returns seconds, requests, milliseconds and megabytes."""
    time.sleep(SETTLE_SECONDS)
    idle = platform.memory_mb()
    rate = RATE // len(platform.urls)
    with ExitStack() as stack:
        peak = stack.enter_context(PeakMemory(platform.memory_mb))
        summaries = [
            stack.enter_context(traffic(platform.run, url, folder, f"load-{number}", rate=rate))
            for number, url in enumerate(platform.urls)
        ]
        platform.deploy("second")
    return {
        "seconds": summaries[-1]["took"],
        "requests": sum(each["requests"] for each in summaries),
        "failures": sum(each["failures"] for each in summaries),
        "p99_ms": max(each["p99"] for each in summaries),
        "idle_mb": round(idle),
        "peak_mb": round(peak.peak),
    }


def table(figures: dict[str, Figures]) -> str:
    """Return the figures as Markdown."""
    rows = ["| | " + " | ".join(next(iter(figures.values()))) + " |", "|---" * 7 + "|"]
    rows += [
        f"| {name} | " + " | ".join(f"{value:,}" for value in each.values()) + " |" for name, each in figures.items()
    ]
    return "\n".join(rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the platforms, one after another. Returns 0."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.platforms", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", action="append", choices=PLATFORMS, help="one of them; by default all")
    options = parser.parse_args(arguments)
    shutil.rmtree(FOLDER, ignore_errors=True)
    figures: dict[str, Figures] = {}
    for name in options.only or PLATFORMS:
        (FOLDER / name).mkdir(parents=True)
        with PLATFORMS[name]() as platform:
            figures[name] = measure(platform, FOLDER / name)
        progress("platforms", f"{name}: {figures[name]}")
        (FOLDER / "figures.json").write_text(json.dumps(figures, indent=2) + "\n")
        page = write_page(FOLDER, {"platforms": figures}, intro=f"One deploy each, at {RATE} requests a second.")
    print(f"{table(figures)}\n{page}")
    return 0


def _here(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


if __name__ == "__main__":
    sys.exit(main())
