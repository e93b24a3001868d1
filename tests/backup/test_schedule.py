"""When a backup is due, by the host's own systemd, and what is late."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from slipway.backup import report, schedule
from slipway.backup.settings import BackupError


@pytest.mark.parametrize(
    ("expression", "hour"),
    [("*-*-* 01:00:00 UTC", {1}), ("*-*-* 03:00:00 Europe/Berlin", {1, 2}), ("Sun *-*-* 04:30:00 UTC", {4})],
)
def test_the_next_moment_is_in_utc(expression: str, hour: set[int]) -> None:
    at = datetime.fromisoformat(schedule.due(expression))
    assert at > datetime.now(UTC)
    assert at.utcoffset() == timedelta(0)
    assert at.hour in hour


@pytest.mark.parametrize("expression", ["25:00", "1999-01-01", "--help"])
def test_a_schedule_without_a_next_moment_is_an_error(expression: str) -> None:
    with pytest.raises(BackupError):
        schedule.due(expression)


@pytest.mark.parametrize(("hours", "state"), [(1, "ok"), (-23, "ok"), (-25, "old")])
def test_a_backup_is_late_a_day_after_it_was_due(tmp_path: Path, hours: int, state: str) -> None:
    made = datetime.now(UTC) - timedelta(days=40)
    due = datetime.now(UTC) + timedelta(hours=hours)
    values = {"state": "ok", "at": made.isoformat(), "due": due.isoformat(), "kind": "nightly"}
    report.write("backup", values | {"snapshot": "1a2b3c4d", "tables": 2, "rows": 7}, tmp_path)
    assert report.found(tmp_path)["backup"]["state"] == state
