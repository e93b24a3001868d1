"""How Alembic runs this app's migrations: on the app's own settings, one transaction each, with bounded waiting."""

import asyncio
import time
from collections.abc import Iterable

from alembic import context
from alembic.operations import MigrationScript
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from app.database import Database
from app.models import Base
from app.settings import Settings

LOCK_ID = 7_423_001
"""Any number, so long as nothing else in the database uses it for an advisory lock."""

POLL_SECONDS = 0.2


def number(
    migration: MigrationContext, _: str | Iterable[str | None] | Iterable[str], directives: list[MigrationScript]
) -> None:
    """Give a new migration the next number (0001, 0002, ...): `app.schema` compares them, and a folder sorts them."""
    script = migration.config and ScriptDirectory.from_config(migration.config)
    head = script.get_current_head() if script else None
    directives[0].rev_id = f"{int(head or 0) + 1:04}"


def take_turns(connection: Connection, lock_seconds: float) -> None:
    """Wait for another migration as long as it takes, but for a table only briefly. Both last for the connection.

    Everyone who comes after an ALTER TABLE that waits, waits behind it.
    """
    # Polled: CREATE INDEX CONCURRENTLY waits for every statement that began before it, so for one that
    # waits here, too.
    while not connection.scalar(text(f"SELECT pg_try_advisory_lock({LOCK_ID})")):
        connection.commit()
        time.sleep(POLL_SECONDS)
    connection.execute(text(f"SET lock_timeout = '{round(lock_seconds * 1000)}ms'"))
    # A statement ends with the process that sent it; else the server would go on, and hold its locks.
    connection.execute(text("SET client_connection_check_interval = '1s'"))
    connection.commit()


def run(connection: Connection, lock_seconds: float) -> None:
    """Run what is missing; each migration is all or nothing."""
    if connection.dialect.name == "postgresql":
        take_turns(connection, lock_seconds)
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        process_revision_directives=number,
        transactional_ddl=True,  # SQLite can, too, now that app.database starts its transactions
        transaction_per_migration=True,  # what one has locked is not held for the others
        render_as_batch=True,  # SQLite's ALTER TABLE knows little; Alembic copies the table instead
    )
    with context.begin_transaction():
        context.run_migrations()


async def main() -> None:
    """Connect and run."""
    settings = Settings.load()
    database = Database(settings, command_timeout=None)
    try:
        async with database.writer.connect() as connection:
            await connection.run_sync(run, settings.migration_lock_seconds)
            await connection.commit()
    finally:
        await database.close()


asyncio.run(main())
