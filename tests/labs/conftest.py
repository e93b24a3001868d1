"""A recorded run, small enough to count by hand."""

from pathlib import Path
from typing import Any

import pytest

from labs.report.record import Deploy, write_lines, write_run, write_track
from slipway.report.routing import Phase

BEGIN = 1_700_000_000.0
OLD, GOOD, BAD = "20260101T000000-0000001", "20260101T000100-0000002", "20260101T000200-0000003"


def request(at: float, ms: float = 10.0, status: int = 200, route: str = "/{slug}") -> dict[str, Any]:
    return {"t": BEGIN + at, "m": "GET", "r": route, "s": status, "ms": ms}


def logged(at: float, slice_: str, identifier: str = "ok", status: int = 200) -> dict[str, Any]:
    return {
        "time": BEGIN + at + 0.01,
        "seconds": 0.01,
        "request_id": identifier,
        "method": "GET",
        "uri": "/",
        "status": status,
        "upstream_addr": f"unix:/srv/app/{slice_}.sock",
        "upstream_status": str(status),
        "upstream_header_seconds": "0.010",
    }


def deploys() -> list[Deploy]:
    good = Deploy(
        "good deploy",
        "a line changed",
        BEGIN + 10,
        BEGIN + 30,
        live_at=BEGIN + 24,
        release=GOOD,
        before=OLD,
        bytes=400_000,
    )
    good.phases = [
        Phase("start", BEGIN + 12, 1.0),
        Phase("canary", BEGIN + 13, 0.0),
        Phase("watch-canary", BEGIN + 13, 5.0),
        Phase("cutover", BEGIN + 18, 0.0),
        Phase("watch", BEGIN + 18, 5.0),
        Phase("complete", BEGIN + 23, 0.0),
        Phase("retire", BEGIN + 24, 2.0),
    ]
    bad = Deploy(
        "bad deploy",
        "500",
        BEGIN + 40,
        BEGIN + 50,
        kind="bad",
        live=False,
        release=BAD,
        before=GOOD,
        cause="<b>it fails</b>",
    )
    bad.phases = [
        Phase("canary", BEGIN + 42, 0.0),
        Phase("watch-canary", BEGIN + 42, 3.0),
        Phase("abort", BEGIN + 45, 2.0),
    ]
    return [good, bad]


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """Ten requests a second for a minute, every tenth to the canary; three fail on it at 43 s."""
    folder = tmp_path / "run"
    track = folder / "slipway"
    track.mkdir(parents=True)
    moments = [count / 10 for count in range(601)]
    failed = {43.1: "a", 43.2: "b", 43.3: "c"}
    write_lines(track / "requests.jsonl", (request(at, status=500 if at in failed else 200) for at in moments))
    write_lines(
        track / "failures.jsonl",
        (request(at, status=500) | {"id": name, "error": "500"} for at, name in failed.items()),
    )
    lines = [
        logged(
            at,
            "canary" if at in failed or count % 10 == 0 else "live",
            failed.get(at, "ok"),
            500 if at in failed else 200,
        )
        for count, at in enumerate(moments)
    ]
    write_lines(track / "access.jsonl", lines)
    write_track(track, deploys(), title="Slipway", names={OLD: "before", GOOD: "good", BAD: "bad"})
    write_run(folder, title="A run", rate=10, tracks=["slipway"])
    return folder
