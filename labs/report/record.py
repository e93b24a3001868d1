"""The folder of a run, from which its page is drawn, today or later.

    run.json                  title, rate and notes of the whole run
    TRACK/track.json          title of one way of deploying, names of its releases
    TRACK/requests.jsonl      every request, as the client saw it (labs.load)
    TRACK/failures.jsonl      the failed requests, in full
    TRACK/access.jsonl        the same requests, as nginx logged them
    TRACK/deploys.jsonl       the deploys and their phases

The folder of a load itself (.cache/load/NAME) is a run with one track, whose marks stand for the deploys.

Times are epoch seconds of one clock: the hosts are containers on the machine of the clients.
"""

import json
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from labs.command import ROOT, LabError
from labs.load.process import read_lines
from slipway.report.routing import Phase

RUNS = ROOT / ".cache/demo"


class RecordError(LabError):
    """A folder that holds no run; the text says what is missing."""


@dataclass
class Deploy:
    """One deploy or rollback, from the start of its playbook to the end of its last phase."""

    name: str
    """As on the page."""
    what: str
    """The change, or the command."""
    started_at: float
    ended_at: float
    kind: str = "good"
    """good, bad (broken on purpose) or rollback."""
    live: bool = True
    """Whether the release became live; False: it was aborted."""
    live_at: float | None = None
    """When the release had all traffic."""
    release: str = ""
    before: str = ""
    """The release that was live at the start."""
    cause: str = ""
    """Why the release was aborted."""
    bytes: int | None = None
    """Sent to the host."""
    phases: list[Phase] = field(default_factory=list)

    @property
    def seconds_to_live(self) -> float | None:
        """From the start until the release was live; None: it never was."""
        return None if self.live_at is None else self.live_at - self.started_at


@dataclass
class Track:
    """One way of deploying under load."""

    name: str
    folder: Path
    labels: dict[str, Any] = field(default_factory=dict)
    """The content of track.json."""
    requests: list[dict[str, Any]] = field(default_factory=list)
    failures: list[dict[str, Any]] = field(default_factory=list)
    deploys: list[Deploy] = field(default_factory=list)

    def access(self) -> Iterable[str]:
        """Return the lines of nginx's access log; none if it was not fetched."""
        path = self.folder / "access.jsonl"
        return path.read_text(errors="replace").splitlines() if path.exists() else []

    @property
    def begin(self) -> float:
        """When the first request was sent, in epoch seconds."""
        return min(float(request["t"]) for request in self.requests)

    @property
    def end(self) -> float:
        """When the last request was sent, in epoch seconds."""
        return max(float(request["t"]) for request in self.requests)


@dataclass
class Run:
    """A whole run."""

    folder: Path
    labels: dict[str, Any]
    """The content of run.json."""
    tracks: list[Track]


def new_folder(kind: str) -> Path:
    """Create the folder of a run: .cache/demo/KIND-TIME."""
    folder = RUNS / f"{kind}-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}"
    folder.mkdir(parents=True)
    return folder


def write_run(folder: Path, **labels: object) -> None:
    """Write run.json."""
    (folder / "run.json").write_text(json.dumps(labels, indent=1) + "\n")


def write_track(folder: Path, deploys: Iterable[Deploy], **labels: object) -> None:
    """Write track.json and deploys.jsonl of a track."""
    (folder / "track.json").write_text(json.dumps(labels, indent=1) + "\n")
    write_lines(folder / "deploys.jsonl", (asdict(deploy) for deploy in deploys))


def write_lines(path: Path, lines: Iterable[dict[str, Any]]) -> None:
    """Write a JSON Lines file."""
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def read_run(folder: Path) -> Run:
    """Read the folder of a run.

    Raises:
        RecordError: it has no requests.
    """
    labels = _json(folder / "run.json")
    tracks = [_track(path.parent) for path in sorted(folder.glob("*/requests.jsonl"))]
    if (folder / "requests.jsonl").exists():
        tracks.append(_track(folder))
    order = labels.get("tracks", [])
    tracks.sort(key=lambda track: order.index(track.name) if track.name in order else len(order))
    tracks = [track for track in tracks if track.requests]
    if not tracks:
        raise RecordError(f"{folder} has no requests.jsonl with requests in it: name the folder of a run or of a load.")
    return Run(folder, {"title": "A load", **labels}, tracks)


def _track(folder: Path) -> Track:
    deploys = [_deploy(line) for line in read_lines(folder / "deploys.jsonl")]
    track = Track(
        folder.name,
        folder,
        _json(folder / "track.json"),
        read_lines(folder / "requests.jsonl"),
        read_lines(folder / "failures.jsonl"),
        deploys,
    )
    marks = read_lines(folder / "marks.jsonl")
    if marks and not deploys and track.requests:
        ends = [mark["t"] for mark in marks[1:]] + [track.end]
        track.deploys = [
            Deploy(mark["mark"], "", mark["t"], end, phases=[Phase(mark["mark"], mark["t"], end - mark["t"])])
            for mark, end in zip(marks, ends, strict=True)
        ]
    return track


def _deploy(values: dict[str, Any]) -> Deploy:
    phases = [Phase(**phase) for phase in values.pop("phases", [])]
    return Deploy(**values, phases=phases)


def _json(path: Path) -> dict[str, Any]:
    try:
        values: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    return values
