"""Copies of SQLite databases that an app is writing to."""

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from slipway.backup import sqlite


def create(path: Path, *statements: str) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    database = sqlite3.connect(path)
    for statement in statements:
        database.execute(statement)
    database.commit()
    return database


def script(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run it as backups do: by itself, without this repository."""
    command = [sys.executable, "-I", "-B", sqlite.__file__, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")


def test_what_is_only_in_the_write_ahead_log_is_copied_and_what_is_not_committed_is_not(tmp_path: Path) -> None:
    source, target = tmp_path / "app", tmp_path / "copy"
    with closing(create(source / "a b/x.db", "PRAGMA journal_mode=WAL", 'CREATE TABLE "odd ""name" (n)')) as app:
        app.execute("PRAGMA wal_autocheckpoint=0")
        app.execute('INSERT INTO "odd ""name" VALUES (1), (2)')
        app.commit()
        app.execute('INSERT INTO "odd ""name" VALUES (3)')
        done = script("copy", source, target)
        assert json.loads(done.stdout) == {"a b/x.db": {'odd "name': 2}}, done.stderr
        # The file alone, as the app's own backup by `cp` would have it, lacks them.
        (tmp_path / "alone").mkdir()
        (tmp_path / "alone/x.db").write_bytes((source / "a b/x.db").read_bytes())
        assert json.loads(script("count", tmp_path / "alone").stdout) in ({}, {"x.db": {}})
    assert [path.name for path in target.rglob("*") if path.is_file()] == ["x.db"], "one file, without a log beside it"
    assert json.loads(script("count", target).stdout) == {"a b/x.db": {'odd "name': 2}}


def test_links_and_other_files_are_no_databases(tmp_path: Path) -> None:
    create(tmp_path / "elsewhere/secret.db", "CREATE TABLE t (n)").close()
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "link.db").symlink_to(tmp_path / "elsewhere/secret.db")
    (folder / "linked").symlink_to(tmp_path / "elsewhere")
    (folder / "empty.db").touch()
    (folder / "page.html").write_text("<html>")
    os.mkfifo(folder / "fifo.db")
    assert sqlite.databases(folder) == []


def test_a_damaged_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with closing(create(path, "CREATE TABLE t (n)")) as database:
        database.executemany("INSERT INTO t VALUES (?)", [("x" * 500,)] * 100)
        database.commit()
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xff" * 8192 + content[12288:])
    done = script("copy", tmp_path, tmp_path.parent / f"{tmp_path.name}-copy")
    assert (done.returncode, done.stdout) == (1, "")
    assert str(path) in done.stderr


@pytest.mark.parametrize("locked", [False, True])
def test_a_database_that_stays_locked_is_an_error_and_no_copy_of_half_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, locked: bool
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.1)
    with closing(create(tmp_path / "x.db", "CREATE TABLE t (n)", "INSERT INTO t VALUES (1)")) as app:
        if locked:
            app.execute("BEGIN EXCLUSIVE")
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                sqlite.copy(tmp_path / "x.db", tmp_path / "copy.db")
        else:
            assert sqlite.copy(tmp_path / "x.db", tmp_path / "copy.db") == {"t": 1}
