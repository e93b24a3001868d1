"""`python -m labs.bench` (make bench): measure on test hosts of its own, print a table, draw a page.

The hosts are local systemd containers, created at the beginning and removed at the end. A whole run takes about 13
minutes; --smoke takes each measurement once, on one host, to see that it works: its figures mean nothing.

    make bench ARGS='--only scaling'      one part (or several: --only scaling --only queue)
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from labs.bench import abuse, deploying, handshakes, known_costs, ports, queueing, scaling, serving
from labs.bench.table import table
from labs.command import ROOT, LabError
from labs.host import Host, temporary_host, use
from labs.report.figures import write_page

HOST = "bench"
CACHE = ROOT / ".cache/bench"
VARIABLES = {
    "nginx_server_names": ["localhost"],
    "host_admin": "admin",
    "release_watch_seconds": 0,  # a choice of the operator, not a cost
    "app_workers": serving.WORKERS,
    "nginx_request_rate": 0,  # all requests come from one address
    "nginx_connections_per_address": 1000,
    "release_settings_file": str(ROOT / "ansible/inventories/local/settings.env"),
}
Figures = dict[str, dict[str, Any]]
"""By part."""


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    deploys: int = 3
    serving_rounds: int = 5
    serving_seconds: int = 4
    scaling_rounds: int = 2
    scaling_seconds: int = 2
    scaling_workers: tuple[int, ...] = scaling.WORKERS
    queue_rounds: int = 20


SMOKE = Size(1, 1, 1, 1, 1, (1, 2), 1)
APP_PARTS = ("deploying", "serving", "port")
"""Measured on a host with the app alone."""
DATA_PARTS = ("scaling", "queue")
"""Measured on a host with PostgreSQL and a broker, too."""
ABUSE_PARTS = ("abuse", "handshakes")
"""Measured by `--only abuse` and `--only handshakes` alone, with the default limits."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, draw. Returns 0, or 1 if a measurement failed or a request did."""
    parser = argparse.ArgumentParser(
        prog="make bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parts_help = "a part; by default all but abuse and handshakes"
    parser.add_argument("--only", action="append", choices=APP_PARTS + DATA_PARTS + ABUSE_PARTS, help=parts_help)
    parser.add_argument("--smoke", action="store_true", help="each measurement once and short, on one host")
    parser.add_argument("--rounds", type=int, help="of requests to every set-up (serving 5, scaling 2, queue 20)")
    parser.add_argument("--seconds", type=int, help="of requests in a round (serving 4, scaling 2)")
    parser.add_argument("--host", help="a host of tools/host to use and keep for all parts; its app is replaced")
    parser.add_argument("--keep", action="store_true", help=f"keep the host `{HOST}`")
    options = parser.parse_args(arguments)
    parts = set(options.only or APP_PARTS + DATA_PARTS)
    try:
        figures = measure(parts, size_of(options), options)
    except LabError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(table(figures))
    print(f"Page: {write_page(CACHE, figures)}")
    return 0


def size_of(options: argparse.Namespace) -> Size:
    """Return the size that the command line asks for."""
    size = SMOKE if options.smoke else Size()
    if options.rounds:
        size = replace(size, serving_rounds=options.rounds, scaling_rounds=options.rounds, queue_rounds=options.rounds)
    if options.seconds:
        size = replace(size, serving_seconds=options.seconds, scaling_seconds=options.seconds)
    return size


def measure(parts: set[str], size: Size, options: argparse.Namespace) -> Figures:
    """Measure the parts: on the host of the option, on one new host if --smoke, else on one new host for each pair.

    Raises:
        LabError: a command failed, or a request did.
    """
    figures: Figures = {}
    if options.host:
        groups = known_costs.GROUPS if parts & set(DATA_PARTS) else "app"
        host = use(options.host, VARIABLES, groups)
        try:
            _measure(host, parts, size, figures)
        finally:
            known_costs.clean_up(host)
            serving.clean_up(host)
            ports.clean_up(host)
        return figures
    for pair in [APP_PARTS + DATA_PARTS + ABUSE_PARTS] if options.smoke else [APP_PARTS, DATA_PARTS, ABUSE_PARTS]:
        if chosen := parts & set(pair):
            groups = known_costs.GROUPS if chosen & set(DATA_PARTS) else "app"
            with temporary_host(HOST, VARIABLES, groups=groups, keep=options.keep) as host:
                _measure(host, chosen, size, figures)
    return figures


def _measure(host: Host, parts: set[str], size: Size, figures: Figures) -> None:
    if "deploying" in parts:
        figures["deploying"] = deploying.measure(host, size.deploys)
        _save(figures)
    if "serving" in parts:
        if "deploying" not in parts:
            host.play("site.yml", release_image=deploying.build())
        figures["serving"] = serving.measure(host, size.serving_rounds, size.serving_seconds)
        _save(figures)
    if "port" in parts:
        if not parts & {"deploying", "serving"}:
            host.play("site.yml", release_image=deploying.build())
        figures["port"] = ports.measure(host, deploying.build(), size.serving_rounds, size.serving_seconds)
        _save(figures)
    if "abuse" in parts:
        host.play("site.yml", release_image=deploying.build(), **abuse.VARIABLES)
        figures["abuse"] = abuse.measure(host)
        _save(figures)
    if "handshakes" in parts:
        figures["handshakes"] = handshakes.measure(host, deploying.build())
        _save(figures)
    if parts & set(DATA_PARTS):
        known_costs.deploy(host)
    if "scaling" in parts:
        figures["scaling"] = scaling.measure(host, size.scaling_workers, size.scaling_rounds, size.scaling_seconds)
        _save(figures)
    if "queue" in parts:
        figures["queue"] = queueing.measure(host, CACHE / "load", size.queue_rounds)
        _save(figures)


def _save(figures: Figures) -> None:
    """Save what is measured so far: a later part may fail."""
    CACHE.mkdir(parents=True, exist_ok=True)
    (CACHE / "figures.json").write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
