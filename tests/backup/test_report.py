"""What is recorded of backups, and what `slipway status` makes of it."""

import json
import os
from collections.abc import Callable
from contextlib import nullcontext, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from slipway.backup import create, report, verify
from slipway.backup.settings import BackupError, Settings
from slipway.engine.releases import now

MADE = {"snapshot": "1a2b3c4d", "tables": 2, "rows": 7}


def backed_up(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = report.found(folder)["backup"]
    return found


def make(folder: Path) -> None:
    with report.recorded("backup", kind="nightly", folder=folder) as made:
        made |= MADE


def test_none_yet(tmp_path: Path) -> None:
    found = report.found(tmp_path)
    assert {each["state"] for each in found.values()} == {"never"}
    assert report.words(found) == ["none yet", "restore test: none yet"]
    assert report.problems(found) == {}


def test_a_success_and_then_a_failure_with_its_cause(tmp_path: Path) -> None:
    make(tmp_path)
    at = backed_up(tmp_path)["at"]
    assert report.words(report.found(tmp_path))[0] == f"{at} (nightly), snapshot 1a2b3c4d, 7 rows in 2 tables"
    with pytest.raises(BackupError), report.recorded("backup", kind="nightly", folder=tmp_path):
        raise BackupError("the disk is full")
    found = report.found(tmp_path)
    assert (found["backup"]["state"], found["backup"]["cause"]) == ("failed", "the disk is full")
    assert found["backup"]["last"]["snapshot"] == "1a2b3c4d"
    assert report.problems(found) == {"backup": report.words(found)[0]}
    assert f"the disk is full; last success: {at} (nightly)" in report.words(found)[0]


def test_one_that_was_killed_is_interrupted_and_not_running_for_ever(tmp_path: Path) -> None:
    with report.locked(tmp_path), report.recorded("backup", kind="nightly", folder=tmp_path) as made:
        assert backed_up(tmp_path)["state"] == "running"
        made |= MADE
    report.write("backup", {"state": "running", "at": now(), "kind": "nightly"}, tmp_path)
    found = report.found(tmp_path)
    assert (found["backup"]["state"], found["backup"]["last"]["rows"]) == ("interrupted", 7)
    assert "it was stopped or the host went down" in report.words(found)[0]


def test_a_failure_lasts_while_it_is_tried_again(tmp_path: Path) -> None:
    def problems() -> list[str]:
        return list(report.problems(report.found(tmp_path)))

    with pytest.raises(BackupError), report.recorded("backup", kind="nightly", folder=tmp_path):
        raise BackupError("the disk is full")
    with report.locked(tmp_path):
        with suppress(BackupError), report.recorded("backup", kind="nightly", folder=tmp_path):
            assert problems() == ["backup"]
            raise BackupError("the disk is full")
        with report.recorded("backup", kind="nightly", folder=tmp_path) as made:
            assert problems() == ["backup"]
            made |= MADE
        assert problems() == []
        with report.recorded("backup", kind="nightly", folder=tmp_path) as made:
            assert problems() == []
            made |= MADE


def test_old_snapshots_that_stay_are_a_problem(tmp_path: Path) -> None:
    report.write("backup", {"state": "ok", "at": now(), "kind": "nightly", "warning": "locked", **MADE}, tmp_path)
    assert "locked" in report.problems(report.found(tmp_path))["backup"]


@pytest.mark.parametrize("run", [lambda: create.run("nightly"), verify.run])
def test_settings_that_cannot_be_read_are_a_recorded_failure(
    monkeypatch: pytest.MonkeyPatch, run: Callable[[], None]
) -> None:
    """The alerts read the record alone: systemd forgets backup@.service soon after it has failed."""

    def damaged() -> Settings:
        raise BackupError("settings.json is damaged")

    written: list[dict[str, Any]] = []
    monkeypatch.setattr(report, "locked", nullcontext)
    monkeypatch.setattr(report, "write", lambda _, values, *__: written.append(values))
    monkeypatch.setattr(Settings, "load", damaged)
    with pytest.raises(BackupError):
        run()
    assert [each["state"] for each in written] == ["running", "failed"]
    assert written[-1]["cause"] == "settings.json is damaged"


def test_a_fault_of_the_program_is_a_failure_too(tmp_path: Path) -> None:
    with pytest.raises(KeyError), report.recorded("backup", kind="nightly", folder=tmp_path):
        raise KeyError("snapshot_id")
    assert (backed_up(tmp_path)["state"], backed_up(tmp_path)["cause"]) == ("failed", "KeyError: 'snapshot_id'")


def test_an_app_without_data_is_no_failure(tmp_path: Path) -> None:
    with report.recorded("backup", kind="nightly", folder=tmp_path) as made:
        made["state"] = "empty"
    found = report.found(tmp_path)
    assert report.problems(found) == {}
    assert "the app has no data; before: none" in report.words(found)[0]


@pytest.mark.parametrize(("days", "state"), [(1, "ok"), (3, "old")])
def test_an_old_success_is_told_as_old(tmp_path: Path, days: int, state: str) -> None:
    at = (datetime.now(UTC) - timedelta(days=days)).isoformat()
    report.write("backup", {"state": "ok", "at": at, "kind": "nightly", **MADE}, tmp_path)
    assert backed_up(tmp_path)["state"] == state


@pytest.mark.parametrize("text", ["", "{", "[]", '{"state": 1}', '{"state": "ok", "at": "x"}', '{"state": "ok"}'])
def test_a_damaged_record_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "backup.json").write_text(text)
    assert report.words(report.found(tmp_path))


def test_the_cause_survives_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    report.write("backup", {"state": "failed", "at": now(), "kind": "nightly", "cause": "x"}, tmp_path)
    assert json.loads((tmp_path / "backup.json").read_text())["cause"] == "x"


def test_everybody_may_read_the_state_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        with report.locked(tmp_path):
            make(tmp_path)
    finally:
        os.umask(before)
    assert {oct(path.stat().st_mode & 0o777) for path in tmp_path.iterdir()} == {"0o644"}
