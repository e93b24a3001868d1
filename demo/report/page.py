"""Draws a run: one HTML file that needs nothing beside it.

python -m demo.report.page FOLDER     draws what an earlier run recorded, or a folder of tests/load
"""

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jinja2

from demo.report import bands, chart
from demo.report.outcomes import Outcome, outcomes
from demo.report.record import RecordError, Run, Track, read_run
from demo.report.samples import Samples, sample

HERE = Path(__file__).parent
PAGE = "index.html"


def write_page(folder: Path) -> tuple[Path, dict[str, list[Outcome]]]:
    """Draw the run in a folder. Returns the page's path, and the outcomes of each track's deploys.

    Raises:
        RecordError: there is no run.
    """
    run = read_run(folder)
    found = {track.name: outcomes(track) for track in run.tracks}
    page = folder / PAGE
    page.write_text(render(run, found))
    return page.resolve(), found


def render(run: Run, found: dict[str, list[Outcome]]) -> str:
    """The page's text."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    environment.filters |= {"seconds": _seconds, "milliseconds": _milliseconds, "megabytes": _megabytes}
    return environment.get_template("page.html.j2").render(
        title=run.words["title"],
        intro=_intro(run),
        notes=run.words.get("notes", []),
        comparison=run.words.get("comparison"),
        tracks=[_track(track, found[track.name]) for track in run.tracks],
        style=(HERE / "page.css").read_text(),
        script=(HERE / "page.js").read_text(),
    )


def _intro(run: Run) -> str:
    track = run.tracks[0]
    at = time.strftime("%d %B %Y, %H:%M UTC", time.gmtime(track.begin)).lstrip("0")
    rate = f"{run.words['rate']} requests per second, " if "rate" in run.words else ""
    return f"{rate}{at}"


def _track(track: Track, found: list[Outcome]) -> dict[str, Any]:
    samples = sample(track)
    panels = [chart.rate(samples), chart.failures(samples), chart.latency(samples)]
    shares = chart.shares(samples, track.words.get("names", {}))
    return {
        "name": track.name,
        "title": track.words.get("title", track.name),
        "what": track.words.get("what", ""),
        "requests": len(track.requests),
        "failed": len(track.failures),
        "outcomes": found,
        "spans": bands.spans(samples, track.deploys),
        "bands": bands.bands(samples, track.deploys),
        "panels": [*panels, *([shares] if shares else [])],
        "axis": chart.seconds_axis(samples),
        "data": _for_script(samples, track),
    }


def _for_script(samples: Samples, track: Track) -> str:
    """What is shown where the pointer is."""
    names = track.words.get("names", {})
    rows = []
    for each in samples.bins:
        row = asdict(each)
        row["shares"] = [[names.get(release, release), share] for release, share in each.shares.items()]
        rows.append(row)
    phases = [
        [phase.name, phase.at - samples.begin, phase.seconds] for deploy in track.deploys for phase in deploy.phases
    ]
    text = json.dumps({"width": samples.width, "bins": rows, "phases": phases}, separators=(",", ":"))
    # Inside of <script> nothing else ends it early.
    return text.replace("<", "\\u003c")


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f} s"  # noqa: RUF001 -- a dash for the reader


def _milliseconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f} ms"  # noqa: RUF001


def _megabytes(value: float | None) -> str:
    return "–" if value is None else f"{value / 1e6:.2f} MB"  # noqa: RUF001


def main() -> int:
    """Draw the folder that the command line names."""
    parser = argparse.ArgumentParser(
        prog="python -m demo.report.page", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
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
