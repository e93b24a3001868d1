"""Drift in the status: never checked, long ago, none, or names."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from slipway.engine import drift
from slipway.engine.status import status, text
from tests.engine.fakes import FakeHost

NOW = datetime.now(UTC).replace(microsecond=0)


def write(report: Path, at: datetime = NOW, **found: dict[str, str]) -> None:
    """As AIDE 0.18 and 0.19 write it, but for fields that are not read."""
    report.write_text(json.dumps({"outline": "AIDE", "end_time": f"{at:%Y-%m-%d %H:%M:%S %z}"} | found))


def shown(host: FakeHost) -> tuple[dict[str, Any], list[str]]:
    """What programs read, and the lines that people do."""
    values = status(host)
    return values["drift"], [line for line in text(values).splitlines() if line.startswith("  drift")]


def test_nothing_differs(host: FakeHost) -> None:
    write(host.drift_report)
    values, lines = shown(host)
    assert values == {"state": "clean", "looked_at": NOW.isoformat(), "added": [], "changed": [], "removed": []}
    assert lines == [f"  drift     none, at {NOW.isoformat()}"]


def test_what_differs_is_named(host: FakeHost) -> None:
    write(host.drift_report, added={"/etc/b": "f+++", "/etc/a": "f+++"}, removed={"/etc/c": "f---"})
    values, lines = shown(host)
    assert values["state"] == "differs"
    assert (values["added"], values["changed"], values["removed"]) == (["/etc/a", "/etc/b"], [], ["/etc/c"])
    assert lines == ["  drift     added /etc/a", "  drift     added /etc/b", "  drift     removed /etc/c"]


@pytest.mark.parametrize("damage", [None, "", "[]", "{}", '{"end_time": 3}', '{"end_time": "yesterday"}'])
def test_before_the_first_check(host: FakeHost, damage: str | None) -> None:
    if damage is not None:
        host.drift_report.write_text(damage)
    values, lines = shown(host)
    assert values == {"state": "never", "looked_at": None, "added": [], "changed": [], "removed": []}
    assert "no check has run yet" in lines[0]


def test_an_old_check_tells_nothing_of_today(host: FakeHost) -> None:
    long_ago = NOW - drift.OLD - timedelta(minutes=1)
    write(host.drift_report, long_ago, changed={"/etc/a": "f H"})
    values, lines = shown(host)
    assert (values["state"], values["changed"]) == ("old", ["/etc/a"])
    assert f"unknown since {long_ago.isoformat()}" in lines[0]
    assert lines[1] == "  drift     changed /etc/a"


def test_the_time_is_one_of_the_hosts_own_zone(host: FakeHost) -> None:
    host.drift_report.write_text(f'{{"end_time": "{NOW + timedelta(hours=2):%Y-%m-%d %H:%M:%S} +0200"}}')
    assert shown(host)[0]["looked_at"] == NOW.isoformat()
