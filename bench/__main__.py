"""`python -m bench` (make bench): measures on a test host of its own, prints a table, saves a chart.

The host is a local systemd container, made at the beginning and removed at the end. A whole run takes about five
minutes. Everything stays on this machine.
"""

import argparse
import json
import sys
from typing import Any

from bench import deploying, report, serving
from bench.host import CACHE, BenchError, Host


def main() -> int:
    """Measure, print, draw. Returns 0, or 1 when something could not be measured."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="of requests, each against every set-up")
    parser.add_argument("--seconds", type=int, default=4, help="of requests in a round, for one set-up")
    parser.add_argument("--no-chart", action="store_true", help="do not draw")
    parser.add_argument("--keep", action="store_true", help="leave the host `bench` running")
    options = parser.parse_args()
    try:
        with Host("bench", keep=options.keep) as host:
            figures = deploying.measure(host)
            _save(figures)
            figures |= serving.measure(host, options.rounds, options.seconds)
            _save(figures)
        print(report.table(figures))
        if not options.no_chart:
            print(f"Chart: {report.draw()}")
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _save(figures: dict[str, Any]) -> None:
    CACHE.mkdir(parents=True, exist_ok=True)
    (CACHE / "figures.json").write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
