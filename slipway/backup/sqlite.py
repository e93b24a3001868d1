"""Copies of the app's SQLite databases. Runs as a script of its own, as the app's user: the files are the app's."""

import json
import os
import sqlite3
import stat
import sys
from contextlib import closing
from pathlib import Path

MAGIC = b"SQLite format 3\0"
BUSY_SECONDS = 60


def databases(folder: Path) -> list[Path]:
    """Find the databases below a folder. No link is followed."""
    found = []
    for parent, _folders, names in os.walk(folder):
        found += [path for name in names if _is_database(path := Path(parent) / name)]
    return sorted(found)


def _is_database(path: Path) -> bool:
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return False
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def copy(source: Path, target: Path) -> dict[str, int]:
    """Copy a database that is in use, by SQLite's online backup. Returns the rows of each table.

    Raises:
        sqlite3.Error: it is damaged, or was locked for a minute.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with (
        closing(sqlite3.connect(f"{source.as_uri()}?mode=rw", uri=True, timeout=BUSY_SECONDS)) as old,
        closing(sqlite3.connect(target)) as new,
    ):
        # With the lock for reading: Python's backup() waits for ever for a database that is locked.
        old.execute("BEGIN")
        old.execute("SELECT count(*) FROM sqlite_master").fetchone()
        old.backup(new)
        old.rollback()
        # The copy takes over WAL from the source; as one file it is whole without a second.
        new.execute("PRAGMA journal_mode=DELETE")
        new.commit()
    return count(target)


def count(path: Path) -> dict[str, int]:
    """Return the rows of each table.

    Raises:
        sqlite3.Error: the database is damaged.
    """
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
        if (found := database.execute("PRAGMA integrity_check").fetchone()[0]) != "ok":
            raise sqlite3.DatabaseError(found)
        listed = database.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'"
        )
        rows = {}
        for (name,) in listed.fetchall():
            quoted = name.replace('"', '""')
            rows[name] = database.execute(f'SELECT count(*) FROM "{quoted}"').fetchone()[0]  # noqa: S608
        return rows


def main(words: list[str]) -> int:
    """`copy FOLDER TARGET` or `count FOLDER`: print the rows of each table of each database as JSON.

    Returns 1 if a database cannot be read; the error output names it.
    """
    action, folder = words[0], Path(words[1])
    rows = {}
    for path in databases(folder):
        try:
            counted = copy(path, Path(words[2]) / path.relative_to(folder)) if action == "copy" else count(path)
        except (sqlite3.Error, OSError) as error:
            print(f"{path}: {error}", file=sys.stderr)
            return 1
        rows[str(path.relative_to(folder))] = counted
    print(json.dumps(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
