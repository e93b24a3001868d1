"""What a run leaves in its folder, so that it can be drawn, today or later.

    run.json                  title, and what else holds for the whole run
    TRACK/track.json          name and words about one way of deploying
    TRACK/requests.jsonl      every request, as the client saw it (tests/load)
    TRACK/failures.jsonl      those that failed, in full
    TRACK/access.jsonl        the same requests, as nginx logged them
    TRACK/deploys.jsonl       the deploys and their phases

A folder of tests/load itself is a run with one track, whose marks stand for the deploys.

Every time is in epoch seconds of one clock: the hosts are containers on the machine that asks.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


class RecordError(ValueError):
    """A folder that holds no run; the text says what is missing."""


@dataclass(frozen=True)
class Phase:
    """A stretch of a deploy."""

    name: str
    at: float
    seconds: float

    @property
    def end(self) -> float:
        """When it was over."""
        return self.at + self.seconds


@dataclass
class Deploy:
    """One deploy or rollback, from typing it to the last trace of it."""

    name: str
    """In words, as it is called on the page."""
    what: str
    """What was typed, or done, and with which image."""
    began: float
    ended: float
    kind: str = "good"
    """good, bad (broken on purpose) or rollback."""
    live: bool = True
    """Whether it became live; False: it was taken back."""
    live_at: float | None = None
    """When it had all traffic, or answered at all."""
    release: str = ""
    before: str = ""
    """The release that was live when it began."""
    cause: str = ""
    """Why it was taken back."""
    bytes: int | None = None
    """Sent to the host for it."""
    phases: list[Phase] = field(default_factory=list)

    @property
    def seconds_to_live(self) -> float | None:
        """From typing it until it was live."""
        return None if self.live_at is None else self.live_at - self.began


@dataclass
class Track:
    """One way of deploying under load."""

    name: str
    folder: Path
    words: dict[str, Any] = field(default_factory=dict)
    """What track.json says."""
    requests: list[dict[str, Any]] = field(default_factory=list)
    failures: list[dict[str, Any]] = field(default_factory=list)
    deploys: list[Deploy] = field(default_factory=list)

    def access(self) -> Iterable[str]:
        """The lines of nginx's log, as they are; none if nobody fetched them."""
        path = self.folder / "access.jsonl"
        return path.read_text(errors="replace").splitlines() if path.exists() else []

    @property
    def begin(self) -> float:
        """When the first request was sent."""
        return min(float(request["t"]) for request in self.requests)

    @property
    def end(self) -> float:
        """When the last request was sent."""
        return max(float(request["t"]) for request in self.requests)


@dataclass
class Run:
    """A whole run."""

    folder: Path
    words: dict[str, Any]
    """What run.json says."""
    tracks: list[Track]


def write_lines(path: Path, lines: Iterable[dict[str, Any]]) -> None:
    """Write JSON lines."""
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def write_deploys(folder: Path, deploys: Iterable[Deploy]) -> None:
    """Write the deploys of a track."""
    write_lines(folder / "deploys.jsonl", (asdict(deploy) for deploy in deploys))


def read_run(folder: Path) -> Run:
    """Read a run back.

    Raises:
        RecordError: the folder is none.
    """
    words = _json(folder / "run.json")
    tracks = [_track(path.parent) for path in sorted(folder.glob("*/requests.jsonl"))]
    if (folder / "requests.jsonl").exists():
        tracks.append(_track(folder))
    order = words.get("tracks", [])
    tracks.sort(key=lambda track: order.index(track.name) if track.name in order else len(order))
    tracks = [track for track in tracks if track.requests]
    if not tracks:
        raise RecordError(f"{folder} has no requests.jsonl with requests in it: name the folder of a run or of a load.")
    return Run(folder, {"title": "A load", **words}, tracks)


def _track(folder: Path) -> Track:
    deploys = [_deploy(line) for line in _lines(folder / "deploys.jsonl")]
    track = Track(
        folder.name,
        folder,
        _json(folder / "track.json"),
        _lines(folder / "requests.jsonl"),
        _lines(folder / "failures.jsonl"),
        deploys,
    )
    marks = _lines(folder / "marks.jsonl")
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


def _lines(path: Path) -> list[dict[str, Any]]:
    """JSON lines; a last one that nobody finished is left out."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]
