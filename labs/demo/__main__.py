"""`python -m labs.demo` (make demo): a good deploy, a bad one and a rollback under load, on the host of `make up`.

Afterwards the host serves the same release as before; two more releases are kept there, as after any two deploys.
--smoke: fewer requests, and no pauses between the deploys.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from labs import deploys, images
from labs.command import ROOT, LabError, progress
from labs.host import Host
from labs.http import is_shortener
from labs.load.process import LEAD_SECONDS, Options, under_load
from labs.report.deploys import write_page
from labs.report.outcomes import Outcome
from labs.report.record import new_folder, write_run, write_track
from tools.checkout import APP_IMAGES

INVENTORY = ROOT / "ansible/inventories/local"
GOOD, BAD = f"{APP_IMAGES}:demo-good", f"{APP_IMAGES}:demo-bad"
RATE, SMOKE_RATE = 150, 100
PAUSE_SECONDS = 2
MAX_SECONDS = 600
"""Of the load, should the demo be killed."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo and print the page's path. Returns 0, or 1 if a request failed that should not, or nothing ran."""
    parser = argparse.ArgumentParser(
        prog="make demo", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ready", action="store_true", help="only tell by the exit status whether there is a host")
    parser.add_argument("--rate", type=int, help=f"requests per second ({RATE})")
    parser.add_argument("--smoke", action="store_true", help="small and short, to see that it works")
    options = parser.parse_args(arguments)
    host = Host("local", inventory=INVENTORY)
    if options.ready:
        return 0 if host.is_healthy() else 1
    try:
        folder = run_demo(host, options.rate or (SMOKE_RATE if options.smoke else RATE), smoke=options.smoke)
        page, found = write_page(folder)
    except LabError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    every = [outcome for outcomes in found.values() for outcome in outcomes]
    print("\n".join(summary(outcome) for outcome in every))
    print(f"Page: {page}")
    return 0 if all(outcome.contained for outcome in every) else 1


def run_demo(host: Host, rate: int, *, smoke: bool = False) -> Path:
    """Deploy and roll back under load. Returns the folder with the records.

    Raises:
        LabError: a deploy did not end as it should.
    """
    if not is_shortener(host.url()):
        raise LabError(
            "the host `local` does not serve the link shortener of app/, for which this load is made; "
            "for an app of your own: make try IMAGE=... or make try DOCKERFILE=."
        )
    lead, pause = (1, 0) if smoke else (LEAD_SECONDS, PAUSE_SECONDS)
    progress("demo", "building the app with a changed line, and with a fault")
    images.build_changed_app(GOOD)
    images.extend_app(BAD, GOOD, "demo/bad")
    folder = new_folder("demo")
    track, started_at = folder / "slipway", time.time()
    done = []
    with live_release_restored(host), under_load(track, Options(host.url(), rate, max_seconds=MAX_SECONDS), lead):
        progress("demo", f"a good deploy, under {rate} requests per second")
        done.append(deploys.deploy(host, "good deploy", "one line of the app changed", GOOD))
        time.sleep(pause)
        progress("demo", "a bad deploy: it answers 500 to those who follow a link")
        done.append(deploys.deploy(host, "bad deploy", "answers 500 to those who follow a link", BAD, bad=True))
        time.sleep(pause)
        progress("demo", "a rollback")
        done.append(deploys.rollback(host, "rollback"))
    (track / "access.jsonl").write_text(host.access_log(started_at))
    write_track(track, done, title="Slipway", names=deploys.names(done, "the earlier release"))
    title = "A good deploy, a bad one and a rollback, under load"
    write_run(folder, title=title, rate=rate, tracks=["slipway"])
    return folder


@contextmanager
def live_release_restored(host: Host) -> Iterator[None]:
    """Return to the release that was live before the block, also after an error."""
    before = host.status()["live"]
    try:
        yield
    finally:
        host.wait_until_idle()
        if host.status()["live"] != before:
            host.play("rollback.yml", release_rollback_to=before)


def summary(outcome: Outcome) -> str:
    """Return one line for the terminal."""
    text = f"{outcome.deploy.name}: {outcome.failed} of {outcome.requests:,} requests failed"
    if outcome.failed and outcome.failed == outcome.in_canary:
        text += ", all on the canary"
    seconds = outcome.deploy.seconds_to_live
    return text + (f"; live after {seconds:.1f} s" if seconds is not None else f"; aborted: {outcome.deploy.cause}")


if __name__ == "__main__":
    sys.exit(main())
