"""`python -m bench` (make bench): measures on a test host of its own, prints a table, saves charts.

The host is a local systemd container, made at the beginning and removed at the end. A whole run takes about eleven
minutes. Everything stays on this machine.

    make bench ARGS='--only scaling'      one part (or several: --only scaling --only queue)
"""

import argparse
import json
import sys
from typing import Any

from bench import deploying, measured, queueing, report, scaling, serving
from bench.host import CACHE, BenchError, Host

PARTS = ("deploying", "serving", "scaling", "queue")
Figures = dict[str, dict[str, Any]]
"""By the part that measured them."""


def main() -> int:
    """Measure, print, draw. Returns 0, or 1 when something could not be measured."""
    parser = argparse.ArgumentParser(
        prog="make bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", action="append", choices=PARTS, help="what is measured; all, if nothing is named")
    parser.add_argument("--rounds", type=int, help="of requests, each against every set-up (5; scaling 2, queue 20)")
    parser.add_argument("--seconds", type=int, help="of requests in a round, for one set-up (4; scaling 2)")
    parser.add_argument("--no-chart", action="store_true", help="do not draw")
    parser.add_argument("--keep", action="store_true", help="leave the host `bench` running")
    options = parser.parse_args()
    figures: Figures = {}
    try:
        _app(options, figures)
        _data(options, figures)
        print(report.table(figures))
        if not options.no_chart:
            for picture in report.draw():
                print(f"Chart: {picture}")
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _app(options: argparse.Namespace, figures: Figures) -> None:
    """The parts whose host has the app alone."""
    parts = options.only or PARTS
    if not {"deploying", "serving"} & set(parts):
        return
    with Host("bench", keep=options.keep) as host:
        if "deploying" in parts:
            figures["deploying"] = deploying.measure(host)
            _save(figures)
        else:
            host.play("site.yml", deploying.image())
        if "serving" in parts:
            figures["serving"] = serving.measure(host, options.rounds or 5, options.seconds or 4)
            _save(figures)


def _data(options: argparse.Namespace, figures: Figures) -> None:
    """The parts whose host has PostgreSQL and a broker as well."""
    parts = options.only or PARTS
    if not {"scaling", "queue"} & set(parts):
        return
    with Host("bench", keep=options.keep, groups=measured.GROUPS) as host:
        measured.deploy(host)
        if "scaling" in parts:
            figures["scaling"] = scaling.measure(host, options.rounds or 2, options.seconds or 2)
            _save(figures)
        if "queue" in parts:
            figures["queue"] = queueing.measure(host, options.rounds or 20)
            _save(figures)


def _save(figures: Figures) -> None:
    CACHE.mkdir(parents=True, exist_ok=True)
    (CACHE / "figures.json").write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
