"""`python -m labs.load`: run a load in the background and check its requests.

    python -m labs.load start NAME --url URL [--rate 150] [--host-header NAME] [--max-seconds 3600]
    python -m labs.load mark NAME TEXT       notes that a phase begins
    python -m labs.load check NAME           summarizes the load while it runs
    python -m labs.load stop NAME            ends it and summarizes it

`check` and `stop` print a summary as JSON. Exit status 1: more than --max-failures (0) requests failed, fewer than
--min-rate (100) were sent per second, no response came for longer than --max-gap (5) seconds, or the load had ended
before it was stopped. --may-fail names a file with the X-Request-IDs, one a line, of requests whose failure is
expected: these are counted apart ("excused"). DIRECTORY/NAME (--directory, default .cache/load) gets requests.jsonl,
failures.jsonl, marks.jsonl, summary.json and log.
"""

import argparse
import json
import sys
import time
from pathlib import Path

from labs.load.process import DIRECTORY, Load, LoadError, Options
from labs.load.summary import Limits, summarize, violations


def start(load: Load, args: argparse.Namespace) -> int:
    """Start a load and return after its first response."""
    options = Options(
        url=args.url,
        rate=args.rate,
        host_header=args.host_header,
        paths=args.paths,
        every_method_at=args.every_method_at,
        client_rate=args.client_rate,
        max_seconds=args.max_seconds,
    )
    pid = load.start(options)
    print(f"load {load.folder.name}: {args.rate:g} requests/s to {args.url}, {args.max_seconds} s (pid {pid})")
    return 0


def mark(load: Load, args: argparse.Namespace) -> int:
    """Note that a phase begins now."""
    load.mark(args.text)
    return 0


def check(load: Load, args: argparse.Namespace) -> int:
    """Summarize a load while it runs."""
    if load.pid():
        return report(load, args, [], until=time.time())
    return report(load, args, ["the load does not run any more"], until=0)


def stop(load: Load, args: argparse.Namespace) -> int:
    """End a load after its requests in flight, and summarize it."""
    until = time.time() if load.pid() else 0
    return report(load, args, load.stop(), until)


def report(load: Load, args: argparse.Namespace, problems: list[str], until: float) -> int:
    """Print the summary and its problems. Returns the exit status."""
    expected = set(args.may_fail.read_text().split()) if args.may_fail else set()
    summary = summarize(load, until, expected)
    problems += violations(summary, Limits(args.max_failures, args.min_rate, args.max_gap))
    text = json.dumps(summary | {"problems": problems}, indent=1)
    (load.folder / "summary.json").write_text(text + "\n")
    print(text)
    for problem in problems:
        print(f"error: {problem}; see {load.folder}", file=sys.stderr)
    return 1 if problems else 0


def main() -> int:
    """Parse the command line and run the verb."""
    parser = argparse.ArgumentParser(
        prog="python -m labs.load", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(required=True, metavar="start|mark|check|stop")
    for action in (start, mark, check, stop):
        verb = verbs.add_parser(action.__name__, help=action.__doc__)
        verb.set_defaults(action=action)
        verb.add_argument("name", help="of the load")
        verb.add_argument("--directory", type=Path, default=DIRECTORY, help="where the load's folder is made")
        if action is start:
            verb.add_argument("--url", required=True, help="http://127.0.0.1:PORT")
            verb.add_argument("--rate", type=float, default=150.0, help="requests per second of all clients together")
            verb.add_argument("--host-header", default="", help="Host header, if it is not the URL's")
            verb.add_argument("--paths", default="", help="pairs of status and path, instead of the link shortener")
            verb.add_argument("--every-method-at", default="", metavar="PATH", help="requests of every method, too")
            verb.add_argument("--client-rate", type=float, default=0.0, help="requests per second of one client")
            verb.add_argument("--max-seconds", type=int, default=3600, help="after which the load ends by itself")
        elif action is mark:
            verb.add_argument("text", help="name of the phase that begins now")
        else:
            verb.add_argument("--max-failures", type=int, default=0)
            verb.add_argument("--min-rate", type=float, default=100.0)
            verb.add_argument("--may-fail", type=Path, metavar="FILE", help="ids of requests that may fail")
            verb.add_argument("--max-gap", type=float, default=5.0, help="seconds without any response")
    args = parser.parse_args()
    try:
        return int(args.action(Load((args.directory / args.name).resolve()), args))
    except LoadError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
