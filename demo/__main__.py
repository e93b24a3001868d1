"""`python -m demo` (make demo): a good deploy, a bad one and a rollback under load, on the host of `make up`.

When it is over the host serves what it served before; two more releases are kept there, as after any two deploys.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.host import ROOT, BenchError
from demo import images
from demo.asking import is_shortener
from demo.deploying import DemoHost, names
from demo.folders import new_folder, write_run
from demo.load import describe, load
from demo.report.outcomes import Outcome
from demo.report.page import write_page
from demo.report.record import Deploy, write_deploys

INVENTORY = ROOT / "ansible/inventories/local"
RATE = 150
PAUSE_SECONDS = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it and print the page's path. Returns 0, or 1 if a request failed that should not have, or nothing ran."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--ready", action="store_true", help="only say by the exit status whether there is a host")
    parser.add_argument("--rate", type=int, default=RATE, help="requests per second")
    options = parser.parse_args(arguments)
    host = DemoHost("local", INVENTORY)
    if options.ready:
        return 0 if _ready(host) else 1
    try:
        folder = run_demo(host, options.rate)
        page, found = write_page(folder)
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    every = [outcome for outcomes in found.values() for outcome in outcomes]
    print("\n".join(in_words(outcome) for outcome in every))
    print(f"Page: {page}")
    return 0 if all(outcome.spared for outcome in every) else 1


def run_demo(host: DemoHost, rate: int) -> Path:
    """Deploy and roll back under load. Returns the folder with what was recorded.

    Raises:
        BenchError: something ended as it should not have.
    """
    if not is_shortener(host.url()):
        raise BenchError(
            "what the local host serves is not the link shortener of app/, which this load is made for: "
            "for an app of yours, make try IMAGE=... or make try DOCKERFILE=."
        )
    _say("building the app with a changed line, and with a mistake")
    good, bad = images.good(), images.bad()
    folder = new_folder("demo")
    track, began = folder / "slipway", time.time()
    deploys: list[Deploy] = []
    with returning(host), load(track, host.url(), rate):
        _say(f"{rate} requests per second, and a good deploy")
        deploys.append(host.deploy("good deploy", "one line of the app changed", good))
        time.sleep(PAUSE_SECONDS)
        _say("a bad deploy: it answers 500 to whoever follows a link")
        deploys.append(host.deploy("bad deploy", "answers 500 to whoever follows a link", bad, bad=True))
        time.sleep(PAUSE_SECONDS)
        _say("a rollback")
        deploys.append(host.rollback("rollback"))
    (track / "access.jsonl").write_text(host.access_log(began))
    write_deploys(track, deploys)
    describe(track, title="Slipway", names=names(deploys, "the release before"))
    title = "A good deploy, a bad one and a rollback, under load"
    write_run(folder, title=title, rate=rate, began=began, tracks=["slipway"])
    return folder


@contextmanager
def returning(host: DemoHost) -> Iterator[None]:
    """Leave the host with the release that it had, also when something fails in between."""
    before = host.status()["live"]
    try:
        yield
    finally:
        host.settle()
        if host.status()["live"] != before:
            host.run_playbook("rollback.yml", release_rollback_to=before)


def in_words(outcome: Outcome) -> str:
    """One line for the terminal."""
    text = f"{outcome.deploy.name}: {outcome.failed} of {outcome.requests:,} requests failed"
    if outcome.failed and outcome.failed == outcome.in_canary:
        text += ", all in the slice that it had on trial"
    seconds = outcome.deploy.seconds_to_live
    return text + (f"; live after {seconds:.1f} s" if seconds is not None else f"; taken back: {outcome.deploy.cause}")


def _ready(host: DemoHost) -> bool:
    try:
        return bool(host.url()) and host.status()["state"] == "healthy"
    except BenchError:
        return False


def _say(text: str) -> None:
    print(f"demo: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
