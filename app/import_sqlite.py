"""Moves the rows of the embedded database to Postgres: `python -m app.import_sqlite` (docs/how-to/move.md).

The migrations have made the schema there. All rows arrive or none, compared by their contents. From then on
`app.db` refuses writes, so that a process that still uses it fails and no write is lost.
`--undo` takes that back, as long as nobody has written to Postgres.
"""

import argparse
import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import DateTime, MetaData, Table, delete, func, insert, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.database import Database
from app.models import Base
from app.settings import Settings

log = logging.getLogger(__name__)

ROWS = 500
"""Rows that are in memory at a time; a picture has a few kB."""

WRITES = ("INSERT", "UPDATE", "DELETE")


class ImportRefusedError(Exception):
    """Nothing was changed; the text says why, and what to do."""


class Contents(NamedTuple):
    """What a table has, whatever the order of its rows."""

    rows: int
    digest: int


async def copy(settings: Settings, metadata: MetaData = Base.metadata) -> int:
    """Copy all rows and return their number.

    Raises ImportRefusedError if there is nothing to copy, or if Postgres has another schema or rows already;
    SQLAlchemyError or OSError if a database does not answer. Postgres is then as it was.
    """
    async with _both(settings, metadata) as (old, new):
        for table in metadata.sorted_tables:
            if there := await new.scalar(select(func.count()).select_from(table)):
                raise ImportRefusedError(
                    f"Postgres has {there} rows in {table.name} already: was the import done before? It goes into "
                    "empty tables only. If nobody needs those rows, delete them as the tables' owner, and repeat this"
                )
        copied = 0
        for table in metadata.sorted_tables:  # a table comes after those it refers to
            async for rows in _rows(old, table):
                await new.execute(insert(table), rows)
            await _advance_sequence(new, table)
            contents = await _contents(old, table)
            if contents != await _contents(new, table):
                raise ImportRefusedError(f"the rows of {table.name} did not arrive as they are in app.db")
            log.info("%s: %d rows, compared", table.name, contents.rows)
            copied += contents.rows
        for table in metadata.sorted_tables:
            for write in WRITES:
                await old.execute(text(_fence(table, write)))
    return copied


async def undo(settings: Settings, metadata: MetaData = Base.metadata) -> None:
    """Empty Postgres again and let `app.db` accept writes.

    Raises ImportRefusedError if Postgres has other rows than `app.db`, which would be lost; SQLAlchemyError or OSError
    if a database does not answer. Nothing was changed then.
    """
    async with _both(settings, metadata) as (old, new):
        for table in metadata.sorted_tables:
            contents = await _contents(new, table)
            if contents.rows and contents != await _contents(old, table):
                raise ImportRefusedError(
                    f"Postgres has rows in {table.name} that app.db does not have: they were written after the import, "
                    "and would be lost. Stay with Postgres"
                )
        for table in reversed(metadata.sorted_tables):
            await new.execute(delete(table))
        for table in metadata.sorted_tables:
            for write in WRITES:
                await old.execute(text(f'DROP TRIGGER IF EXISTS "moved_{write}_{table.name}"'))


@asynccontextmanager
async def _both(settings: Settings, metadata: MetaData) -> AsyncIterator[tuple[AsyncConnection, AsyncConnection]]:
    """Open a transaction on `app.db` and one on Postgres; until they end, nobody else writes to either.

    `app.db` commits first: there is no moment in which both would accept a write. Raises ImportRefusedError if one of
    them is missing, or if their migrations differ.
    """
    file = settings.state_directory / "app.db"
    if settings.embedded:
        raise ImportRefusedError(f"DATABASE_URL is not set, so this release uses {file}: switch it to Postgres first")
    if not file.is_file():
        raise ImportRefusedError(f"there is no {file}: run this where the app kept it")
    source = Database(settings.model_copy(update={"database_url": None}))
    target = Database(settings, command_timeout=None)
    try:
        known, needed = await target.revision(), await source.revision()
        if known != needed:
            raise ImportRefusedError(
                f"app.db has migration {needed}, Postgres {known}, and they must be the same: run "
                "`python -m app.migrate` for the older one"
            )
        async with target.writer.begin() as new, source.writer.begin() as old:
            for table in metadata.sorted_tables:
                await new.execute(text(f'LOCK TABLE "{table.name}" IN SHARE ROW EXCLUSIVE MODE'))
            yield old, new
    finally:
        await source.close()
        await target.close()


async def _rows(connection: AsyncConnection, table: Table) -> AsyncIterator[list[dict[str, Any]]]:
    """Give a table's rows, some at a time."""
    zoned = [each.name for each in table.columns if isinstance(each.type, DateTime) and each.type.timezone]
    result = await connection.stream(select(table))
    async for part in result.mappings().partitions(ROWS):
        rows = [dict(row) for row in part]
        for row in rows:
            row |= {name: _utc(row[name]) for name in zoned if row[name] is not None}
        yield rows


def _utc(time: datetime) -> datetime:
    """Give a time its zone: SQLite keeps none, and the app writes UTC."""
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)


async def _contents(connection: AsyncConnection, table: Table) -> Contents:
    """Add up a digest of each row: the two databases need not agree on an order."""
    number = digest = 0
    async for rows in _rows(connection, table):
        number += len(rows)
        digest += sum(int.from_bytes(hashlib.sha256(repr(row).encode()).digest()) for row in rows)
    return Contents(number, digest)


async def _advance_sequence(connection: AsyncConnection, table: Table) -> None:
    """Let the next number that Postgres draws be one that no copied row has."""
    if (column := table.autoincrement_column) is not None:
        highest = select(func.setval(func.pg_get_serial_sequence(table.name, column.name), func.max(column)))
        await connection.execute(highest.having(func.max(column).is_not(None)))


def _fence(table: Table, write: str) -> str:
    return (
        f'CREATE TRIGGER IF NOT EXISTS "moved_{write}_{table.name}" BEFORE {write} ON "{table.name}" '
        "BEGIN SELECT RAISE(ABORT, 'these rows were moved to Postgres'); END"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run it, or end with one line that says why not."""
    parser = argparse.ArgumentParser(prog="python -m app.import_sqlite", description="Move app.db's rows to Postgres.")
    parser.add_argument("--undo", action="store_true", help="empty Postgres again, and let app.db accept writes")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    settings = Settings.load()
    try:
        if options.undo:
            asyncio.run(undo(settings))
            log.info("undone: Postgres is empty, and app.db accepts writes")
        else:
            log.info("%d rows moved; app.db refuses writes from now on", asyncio.run(copy(settings)))
    except ImportRefusedError as error:
        raise SystemExit(f"error: nothing was changed: {error}") from None
    except (SQLAlchemyError, OSError) as error:
        cause = getattr(error, "orig", None) or error  # without the statement and its values
        raise SystemExit(
            f"error: Postgres is as it was: {type(cause).__name__}: {cause}. Should app.db refuse writes: "
            "python -m app.import_sqlite --undo"
        ) from None


if __name__ == "__main__":
    main()
