"""Whether there are data: what an app had before anybody used it is none."""

from collections.abc import Iterable
from pathlib import Path

from slipway.backup import sqlite

Rows = dict[str, int]
OF_MIGRATIONS = {
    "alembic_version", "aerich", "migratehistory", "schema_migrations", "sqlite_sequence",
    "django_migrations", "django_content_type", "auth_permission",
    "_yoyo_migration", "_yoyo_log", "_yoyo_version", "yoyo_lock",
    "_prisma_migrations", "atlas_schema_revisions", "databasechangelog", "databasechangeloglock",
    "flyway_schema_history", "goose_db_version",
}  # fmt: skip
"""Tables that migrations fill before anybody uses the app: of Alembic, Aerich, Peewee, dbmate, SQLite itself,
Django, yoyo, Prisma, Atlas, Liquibase, Flyway and goose. Not Piccolo's `migration`, which may be anything."""
BESIDE_A_DATABASE = ("", "-wal", "-shm", "-journal")
"""Suffixes of SQLite's files: a copy has what is in all of them."""


def filled(rows: Rows) -> Rows:
    """Return the tables that have rows of people."""
    return {name: number for name, number in rows.items() if number and name.split(".")[-1] not in OF_MIGRATIONS}


def files(folder: Path, databases: Iterable[Path] | None = None) -> list[Path]:
    """Return what is below a folder besides folders and SQLite's files."""
    found = sqlite.databases(folder) if databases is None else databases
    known = {path.with_name(path.name + suffix) for path in found for suffix in BESIDE_A_DATABASE}
    return [path for path in folder.rglob("*") if not path.is_dir() and path not in known]


def shown(rows: Rows) -> str:
    """Name some tables with their rows; empty if none has any of people."""
    return ", ".join(f"{number} rows in {name}" for name, number in sorted(filled(rows).items())[:3])
