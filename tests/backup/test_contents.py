"""What counts as data: a host without any is not backed up, and may be restored to."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from slipway.backup import contents, restore
from slipway.backup.create import _has_data
from slipway.backup.restic import Snapshot
from slipway.backup.settings import BackupError
from slipway.backup.staging import Manifest, compare
from tests.backup.test_restic import AT


@pytest.mark.parametrize(
    ("tables", "sqlite", "expected"),
    [
        (None, {}, False),
        ({"public.alembic_version": 1, "public.orders": 0}, {}, False),
        ({"public.alembic_version": 1, "public.orders": 1}, {}, True),
        ({"public.django_content_type": 9, "public.auth_permission": 36, "public.auth_user": 0}, {}, False),
        ({"public.schema_migrations": 4}, {}, False),
        ({"public.migration": 4}, {}, True),
        (None, {"/var/lib/app": {"x.db": {"alembic_version": 1, "sqlite_sequence": 2}}}, False),
        (None, {"/var/lib/app": {"x.db": {"t": 1}}}, True),
    ],
)
def test_rows_of_migrations_are_no_data(
    tables: dict[str, int] | None, sqlite: dict[str, dict[str, dict[str, int]]], expected: bool
) -> None:
    assert _has_data(Manifest("", tables, [], sqlite), []) == expected


def test_a_file_is_data_and_an_empty_database_is_none(tmp_path: Path) -> None:
    (tmp_path / "uploads").mkdir()
    with closing(sqlite3.connect(tmp_path / "x.db")) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE t (n)")
        assert (tmp_path / "x.db-wal").exists()
        assert not _has_data(Manifest("", None), [tmp_path])
        (tmp_path / "uploads/a").touch()
        assert contents.files(tmp_path) == [tmp_path / "uploads/a"]
        assert _has_data(Manifest("", None), [tmp_path])


@pytest.mark.parametrize(
    ("machines", "refused"),
    [(["old"], False), (["new"], False), (["old", "new"], True), (["", "new"], False), (["new", "old"], False)],
)
def test_what_a_new_machine_has_so_far_is_not_taken_for_the_old_data(
    monkeypatch: pytest.MonkeyPatch, machines: list[str], refused: bool
) -> None:
    monkeypatch.setattr(restore, "machine", lambda: "new")
    snapshots = [Snapshot(f"{number}" * 10, AT, "nightly", each) for number, each in enumerate(machines)]
    if refused:
        with pytest.raises(BackupError, match="--snapshot 00000000"):
            restore._require_one_machine(snapshots)
    else:
        restore._require_one_machine(snapshots)


def test_other_rows_than_backed_up_are_named() -> None:
    compare("PostgreSQL", {"a": 1, "b": 2}, {"a": 1, "b": 2})
    with pytest.raises(BackupError, match=r"b: 2 backed up, None restored; c: None backed up, 3 restored"):
        compare("PostgreSQL", {"a": 1, "b": 2}, {"a": 1, "c": 3})
