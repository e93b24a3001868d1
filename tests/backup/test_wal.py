"""WAL archiving: what archive-wal keeps, what is copied, what is forgotten, and what is told."""

import gzip
import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from slipway.backup import postgresql, recovery, report, restore, wal
from slipway.backup.restic import Repository, RepositoryLockedError, Snapshot
from slipway.backup.settings import BackupError, Settings
from slipway.backup.staging import Manifest
from tools.checkout import ROOT

ARCHIVE_WAL = Path("slipway/bin/archive-wal")
SEGMENT = "000000010000000000000005"
"""A file of WAL."""
NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


class Recorder(Repository):
    """A repository that records its calls."""

    def __init__(self, bases: Sequence[Snapshot] = (), segments: Sequence[Snapshot] = (), place: str = "/b") -> None:
        self.settings = Settings(place, "production/www1", True, (), {})
        self.known = {wal.BASE_TAG: [*bases], wal.WAL_TAG: [*segments]}
        self.copied: list[str] = []
        self.removed: list[str] = []
        self.error: BackupError | None = None

    def backup(self, paths: Sequence[Path], excluded: Sequence[Path], kind: str, tag: str = "") -> dict[str, Any]:
        if self.error:
            raise self.error
        self.copied += [kind]
        return {"snapshot_id": "f" * 64}

    def snapshots(self, tag: str = "") -> list[Snapshot]:
        return self.known[tag]

    def remove(self, ids: Sequence[str]) -> None:
        self.removed += ids


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of archive-wal, with one file that is not copied yet."""
    monkeypatch.setattr(wal, "SEGMENTS", tmp_path / "segments")
    monkeypatch.setattr(wal, "NEW", tmp_path / "new")
    monkeypatch.setattr(wal, "DROPPED", tmp_path / "dropped")
    monkeypatch.setattr(wal, "CURRENT", tmp_path / "base.json")
    for name in ("part", "segments", "new"):
        (tmp_path / name).mkdir()
    (tmp_path / "base.json").write_text(json.dumps({"snapshot": "a" * 64, "repository": "/b"}))
    (tmp_path / "segments" / f"{SEGMENT}.gz").write_bytes(gzip.compress(b"wal"))
    (tmp_path / "new" / SEGMENT).touch()
    return tmp_path


def archived(folder: Path, *, available: int, size: int) -> subprocess.CompletedProcess[str]:
    """Run archive-wal for a file, on a disk with so many MiB."""
    program, tools = folder / "archive-wal", folder / "tools"
    program.write_text((ROOT / ARCHIVE_WAL).read_text().replace("/var/lib/slipway-wal", str(folder)))
    tools.mkdir(exist_ok=True)
    (tools / "df").write_text(f"#!/bin/sh\necho Avail Size\necho {available} {size}\n")
    (tools / "df").chmod(0o755)
    (folder / "data/pg_wal").mkdir(parents=True, exist_ok=True)
    (folder / "data/pg_wal" / SEGMENT).write_bytes(b"wal" * 1000)
    path = f"{tools}:{os.environ['PATH']}"
    command = ["sh", str(program), f"pg_wal/{SEGMENT}", SEGMENT]
    return subprocess.run(command, cwd=folder / "data", env={"PATH": path}, capture_output=True, text=True, check=False)


def test_a_file_is_kept_compressed_and_named_as_new(tmp_path: Path) -> None:
    for name in ("part", "segments", "new"):
        (tmp_path / name).mkdir()
    assert archived(tmp_path, available=9000, size=50_000).stderr == ""
    assert gzip.decompress((tmp_path / "segments" / f"{SEGMENT}.gz").read_bytes()) == b"wal" * 1000
    assert [path.name for path in (tmp_path / "new").iterdir()] == [SEGMENT]
    assert list((tmp_path / "part").iterdir()) == []
    assert not (tmp_path / "dropped").exists()


def test_a_file_that_cannot_be_kept_stays_with_postgresql(tmp_path: Path) -> None:
    assert archived(tmp_path, available=9000, size=50_000).returncode != 0


@pytest.mark.parametrize(("available", "size", "dropped"), [(1500, 50_000, True), (1500, 10_000, False)])
def test_a_disk_that_is_nearly_full_is_left_to_the_database(
    tmp_path: Path, available: int, size: int, dropped: bool
) -> None:
    for name in ("part", "segments", "new"):
        (tmp_path / name).mkdir()
    assert archived(tmp_path, available=available, size=size).returncode == 0
    assert (tmp_path / "dropped").exists() is dropped
    assert bool(list((tmp_path / "segments").iterdir())) is not dropped


def test_new_files_are_copied_once(archive: Path) -> None:
    repository = Recorder()
    assert (wal.ship(repository), wal.ship(repository)) == (1, 0)
    assert repository.copied == ["base-aaaaaaaa"]


def test_a_file_that_was_not_copied_stays_new(archive: Path) -> None:
    repository = Recorder()
    repository.error = BackupError("no route to host")
    with pytest.raises(BackupError):
        wal.ship(repository)
    repository.error = None
    assert wal.ship(repository) == 1


def test_wal_waits_while_old_snapshots_are_removed(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = Recorder()
    monkeypatch.setattr(wal, "LOCK_WAIT_SECONDS", 0.0)
    monkeypatch.setattr(repository, "unlock", lambda: setattr(repository, "error", None))
    repository.error = RepositoryLockedError("already locked")
    assert wal.ship(repository) == 1
    repository.error = RepositoryLockedError("already locked")
    (archive / "new" / SEGMENT).touch()
    monkeypatch.setattr(repository, "unlock", lambda: None)
    with pytest.raises(RepositoryLockedError):
        wal.ship(repository)


def test_after_a_gap_there_is_another_base_backup(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgresql, "cluster_size", lambda: 1)
    assert not wal.needs_base(Recorder())
    (archive / "dropped").touch()
    repository = Recorder()
    wal.start_over(repository)
    assert repository.copied == ["base-aaaaaaaa"], "what was before the gap belongs to the base backup before"
    assert wal.needs_base(repository)
    assert not (archive / "dropped").exists()


@pytest.mark.parametrize(("cluster", "needs"), [(1, True), (4 << 30, False)])
def test_much_wal_needs_another_base_backup(
    archive: Path, monkeypatch: pytest.MonkeyPatch, cluster: int, needs: bool
) -> None:
    monkeypatch.setattr(postgresql, "cluster_size", lambda: cluster)
    os.truncate(archive / "segments" / f"{SEGMENT}.gz", wal.MOST_BYTES + 1)
    assert wal.needs_base(Recorder()) is needs


def test_another_repository_needs_a_base_backup_of_its_own(archive: Path) -> None:
    assert wal.needs_base(Recorder(place="/another"))


@pytest.mark.parametrize(
    ("mode", "failing", "told"), [("off", None, "archive_mode is off"), ("on", SEGMENT, f"cannot archive {SEGMENT}")]
)
def test_postgresql_that_does_not_archive_is_an_error(
    monkeypatch: pytest.MonkeyPatch, mode: str, failing: str | None, told: str
) -> None:
    monkeypatch.setattr(postgresql, "query", lambda *_: json.dumps({"mode": mode, "failing": failing}))
    with pytest.raises(BackupError, match=told):
        wal.verify_archiving()


def snapshot(number: int, hours: float, kind: str = "base", machine: str = "m") -> Snapshot:
    return Snapshot(str(number) * 64, NOW - timedelta(hours=hours), kind, machine)


def test_each_moment_of_two_days_keeps_the_base_backup_before_it_and_the_last_wal_of_that() -> None:
    # Not made at the same minute of each day: a little more than two days are between the second and the last.
    bases = [snapshot(1, 72), snapshot(2, 48.2), snapshot(3, 24.1), snapshot(9, 0)]
    segments = [
        snapshot(4, 71, "base-11111111"),
        snapshot(5, 47, "base-22222222"),
        snapshot(6, 25, "base-22222222"),
        snapshot(7, 0, "base-99999999"),
    ]
    repository = Recorder(bases, segments)
    wal.forget(repository)
    assert {each[0] for each in repository.removed} == {"1", "4", "5"}
    assert recovery.choose(repository, "m", NOW - timedelta(hours=47)) == bases[1]
    assert wal.last_of(repository, bases[1]) == segments[2]


def test_without_base_backups_there_is_nothing_to_forget() -> None:
    repository = Recorder([], [])
    wal.forget(repository)
    assert repository.removed == []


def test_the_base_backup_is_from_before_the_moment_and_of_the_same_machine() -> None:
    repository = Recorder([snapshot(1, 20), snapshot(2, 10), snapshot(3, 5, machine="new")])
    assert recovery.choose(repository, "m", None) == snapshot(2, 10)
    assert recovery.choose(repository, "m", NOW - timedelta(hours=11)) == snapshot(1, 20)
    assert recovery.choose(repository, "m", NOW - timedelta(hours=21)) is None


def test_where_a_base_backup_begins() -> None:
    label = "START WAL LOCATION: 0/5000028 (file 000000010000000000000005)\nCHECKPOINT LOCATION: 0/5000060\n"
    assert postgresql.first_segment(label) == SEGMENT
    assert postgresql.is_before("000000010000000000000004.gz", SEGMENT)
    assert not postgresql.is_before(f"{SEGMENT}.00000028.backup.gz", SEGMENT)
    with pytest.raises(BackupError):
        postgresql.first_segment("")


def test_a_place_in_the_wal_is_a_number() -> None:
    assert postgresql.lsn("1/0") > postgresql.lsn("0/FFFFFFFF") > postgresql.lsn("0/5000028")


@pytest.mark.parametrize("text", ["yesterday", "", "2999-01-01", "9999-12-31T23:59:59-23:59"])
def test_a_moment_that_is_none_of_the_past(text: str) -> None:
    with pytest.raises(BackupError, match=r"must be a moment of the past in UTC\. As: --at 2026-11-29T14:05:30"):
        restore.parse_moment(text)


def test_a_moment_without_a_zone_is_in_utc() -> None:
    assert restore.parse_moment("2026-11-28T14:05") == datetime(2026, 11, 28, 14, 5, tzinfo=UTC)
    assert restore.parse_moment("2026-11-28T15:05+01:00") == datetime(2026, 11, 28, 14, 5, tzinfo=UTC)


def test_wal_is_told_where_it_is_archived(tmp_path: Path) -> None:
    assert "wal" not in report.found(tmp_path)
    with report.locked(tmp_path, report.WAL_LOCK), report.recorded(report.WAL, folder=tmp_path) as made:
        made |= {"files": 3, "base": "1a2b3c4d"}
    found = report.found(tmp_path)
    at = found["wal"]["at"]
    assert report.words(found)[2] == f"WAL: all in the repository at {at}, after the base backup 1a2b3c4d"
    with pytest.raises(BackupError), report.recorded(report.WAL, folder=tmp_path):
        raise BackupError("PostgreSQL cannot archive")
    assert "PostgreSQL cannot archive; last success" in report.problems(report.found(tmp_path))["wal"]


def test_wal_that_nobody_looked_at_for_half_an_hour_is_told(tmp_path: Path) -> None:
    at = (datetime.now(UTC) - timedelta(minutes=31)).isoformat()
    report.write(report.WAL, {"state": "ok", "at": at, "files": 0, "base": "1a2b3c4d"}, tmp_path)
    assert "too old" in report.problems(report.found(tmp_path))["wal"]


@pytest.mark.parametrize(
    ("replayed", "at", "from_wal"), [("0/5000028", None, True), ("0/4FFFFFF", None, False), ("0/4FFFFFF", NOW, True)]
)
def test_a_backup_that_is_newer_than_the_wal_wins_unless_a_moment_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replayed: str, at: datetime | None, from_wal: bool
) -> None:
    @contextmanager
    def recovered(*_: object) -> Iterator[recovery.Recovered]:
        yield recovery.Recovered("host=/x dbname=app", postgresql.lsn(replayed), "2026-11-29 11:59:58")

    dumped = {"tables": {"public.orders": 2}, "extensions": [], "lsn": "0/0"}
    monkeypatch.setattr(recovery, "recovered", recovered)
    monkeypatch.setattr(postgresql, "dump", lambda *_: dumped)
    before = Manifest("", {"public.orders": 1}, lsn="0/5000028")
    manifest, until = restore._with_wal(Recorder(), snapshot(1, 1), tmp_path, before, at)
    assert manifest.tables == {"public.orders": 2 if from_wal else 1}
    assert until == ("2026-11-29 11:59:58" if from_wal else "")
