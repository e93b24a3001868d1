"""Lines of nginx's access log, entries of the audit, and a report of both."""

import json
import math
from typing import Any

import pytest

from slipway.report import activations
from slipway.report.routing import Routing
from slipway.report.samples import Bin, Samples
from slipway.report.traffic import Traffic

BEGIN = 1_700_000_000.0
OLD, NEW = "20260101T000000-0000001", "20260101T000100-0000002"
HOSTILE = '"><img src=x onerror=alert(1)></td></script><script>alert(2)</script><!--{{7*7}}{% raw %}&amp;'
DEPLOY: dict[str, Any] = {
    "at": "2026-11-29T04:00:30.000+00:00",
    "what": "deploy",
    "release": NEW,
    "before": OLD,
    "live": NEW,
    "ended": "done",
    "by": "alice",
    "seconds": 30.0,
    "cause": None,
    "phases": {"start": 4.0, "canary": 0.0, "watch-canary": 10.0, "cutover": 0.0, "watch": 10.0, "complete": 0.0},
}
FAILED = DEPLOY | {"ended": "failed", "live": OLD, "phases": {"start": 4.0, "canary": 0.0, "watch-canary": 10.0}}


def logged(at: float = 0, **values: Any) -> bytes:
    """A line of a request that came `at` seconds after BEGIN, and took 10 ms."""
    seconds = values.get("seconds", 0.01)
    entry = {
        "time": round(BEGIN + at + seconds, 3),
        "seconds": seconds,
        "request_id": "1f",
        "method": "GET",
        "uri": "/",
        "status": 200,
        "slice": "live",
        "upstream_header_seconds": f"{seconds:.3f}",
        "user_agent": "curl",
    }
    return json.dumps(entry | values).encode() + b"\n"


@pytest.fixture
def report() -> dict[str, Any]:
    """What a host prints, with hostile values wherever somebody else's text is."""
    traffic = Traffic(Samples(BEGIN, 600, [Bin() for _ in range(144)]), [Routing(-math.inf, OLD, NEW)])
    hostile = {
        "uri": f"/{HOSTILE}",
        "method": HOSTILE[:20],
        "user_agent": HOSTILE,
        "request_id": HOSTILE,
        "status": 500,
    }
    traffic.read([logged(100, uri="/users/7"), logged(200, slice="canary"), logged(300, seconds=2, **hostile)])
    times = {"started_at": BEGIN + 300, "ended_at": BEGIN + 330}
    entries = [DEPLOY | {"by": HOSTILE}, FAILED | {"cause": HOSTILE, "phases": {HOSTILE: 3.0, "canary": 1.0}}]
    document = {
        "version": "0.9.0",
        "host": HOSTILE,
        "site": {},
        "begin": BEGIN,
        "live": NEW,
        "traffic": traffic.to_json(),
        "unread_files": [HOSTILE],
        "activations": [each.to_json() | times for each in activations.read(entries)],
        "restarts": [{"at": BEGIN + 1000, "unit": HOSTILE, "what": "restarted after a crash"}],
        "memory": {"total": 2 << 30, "available": 1 << 30, "swap_total": 0, "swap_free": 0},
        "units": [{"unit": "app@x.service", "current": 200 << 20, "peak": None, "max": 512 << 20}],
        "disks": [{"path": HOSTILE, "total": 20 << 30, "free": 5 << 30}],
    }
    found: dict[str, Any] = json.loads(json.dumps(document))
    return found
