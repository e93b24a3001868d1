"""Draw a run: the requests of clients over time, with the deploys in it.

python -m labs.report.deploys FOLDER     draws a recorded run again, or the folder of a load
"""

import argparse
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from labs.report.outcomes import Outcome, outcomes
from labs.report.page import write
from labs.report.record import RecordError, Run, Track, read_run
from labs.report.samples import sample
from slipway.controller.page import bands, chart
from slipway.controller.page.html import for_script
from slipway.report.samples import Samples


def write_page(folder: Path) -> tuple[Path, dict[str, list[Outcome]]]:
    """Draw the run in a folder. Returns the page's path, and by track the outcomes of its deploys.

    Raises:
        RecordError: the folder holds no run.
    """
    run = read_run(folder)
    found = {track.name: outcomes(track) for track in run.tracks}
    page = write(
        folder,
        "deploys.html.j2",
        title=run.labels["title"],
        intro=_intro(run),
        notes=run.labels.get("notes", []),
        comparison=run.labels.get("comparison"),
        tracks=[_track(track, found[track.name]) for track in run.tracks],
    )
    return page, found


def _intro(run: Run) -> str:
    at = time.strftime("%d %B %Y, %H:%M UTC", time.gmtime(run.tracks[0].begin)).lstrip("0")
    rate = f"{run.labels['rate']} requests per second, " if "rate" in run.labels else ""
    return f"{rate}{at}"


def _track(track: Track, found: list[Outcome]) -> dict[str, Any]:
    samples = sample(track)
    panels = [chart.rate(samples), chart.failures(samples), chart.latency(samples)]
    shares = chart.shares(samples, track.labels.get("names", {}))
    return {
        "name": track.name,
        "title": track.labels.get("title", track.name),
        "what": track.labels.get("what", ""),
        "outcomes": found,
        "spans": bands.spans(samples, track.deploys),
        "bands": bands.bands(samples, track.deploys),
        "panels": [*panels, *([shares] if shares else [])],
        "axis": chart.seconds_axis(samples),
        "data": _for_script(samples, track),
    }


def _for_script(samples: Samples, track: Track) -> str:
    """Return the values that page.js shows under the pointer, as JSON."""
    names = track.labels.get("names", {})
    rows = []
    for each in samples.bins:
        row = asdict(each)
        row["shares"] = [[names.get(release, release), share] for release, share in each.shares.items()]
        rows.append(row)
    phases = [
        [phase.name, phase.at - samples.begin, phase.seconds] for deploy in track.deploys for phase in deploy.phases
    ]
    return for_script({"width": samples.width, "bins": rows, "phases": phases})


def main() -> int:
    """Draw the folder that the command line names."""
    parser = argparse.ArgumentParser(
        prog="python -m labs.report.deploys", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="of a run (.cache/demo/...) or of a load (.cache/load/...)")
    try:
        page, _ = write_page(parser.parse_args().folder)
    except RecordError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
