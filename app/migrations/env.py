"""How Alembic runs this app's migrations: on the app's own settings, in one transaction, with bounded waiting."""

import asyncio
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


def number(
    migration: MigrationContext, _: str | Iterable[str | None] | Iterable[str], directives: list[MigrationScript]
) -> None:
    """Give a new migration the next number (0001, 0002, ...): `app.schema` compares them, and a folder sorts them."""
    script = migration.config and ScriptDirectory.from_config(migration.config)
    head = script.get_current_head() if script else None
    directives[0].rev_id = f"{int(head or 0) + 1:04}"


def run(connection: Connection) -> None:
    """Run what is missing, all or nothing."""
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        process_revision_directives=number,
        transactional_ddl=True,  # SQLite can, too, now that app.database starts its transactions
        render_as_batch=True,  # SQLite's ALTER TABLE knows little; Alembic copies the table instead
    )
    with context.begin_transaction():
        if connection.dialect.name == "postgresql":
            # Wait for another migration as long as it takes, but for a table only briefly: everyone who comes after
            # an ALTER TABLE that waits, waits behind it.
            connection.execute(text(f"SELECT pg_advisory_xact_lock({LOCK_ID})"))
            connection.execute(text("SET LOCAL lock_timeout = '5s'"))
        context.run_migrations()


async def main() -> None:
    """Connect and run."""
    database = Database(Settings.load())
    try:
        async with database.writer.connect() as connection:
            await connection.run_sync(run)
            await connection.commit()
    finally:
        await database.close()


asyncio.run(main())
