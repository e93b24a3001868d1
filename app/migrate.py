"""Brings the database to this release's schema: `python -m app.migrate`.

Safe to run while an older release serves, and safe to run twice at once: the second waits and finds nothing to do.
"""

import asyncio
import fcntl
import logging
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from app import schema
from app.database import LOCK_TIMEOUT, Database
from app.settings import Settings

log = logging.getLogger(__name__)

TRIES = 5
PAUSE_SECONDS = 3
"""Between two tries the requests that have waited behind the last one are served."""

LOCK_NOT_AVAILABLE = "55P03"
"""What Postgres calls a lock that did not come within `lock_timeout`."""


def main() -> None:
    """Run the migrations that are missing."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    settings = Settings.load()
    with _embedded(settings):
        if not schema.behind(asyncio.run(_revision(settings))):
            log.info("nothing to do: the database has migration %s", schema.HEAD)
            return
        _upgrade(settings)


def _upgrade(settings: Settings) -> None:
    from alembic import command  # only now: workers that start together all come by here, and one has to do it
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    for left in reversed(range(TRIES)):
        try:
            command.upgrade(config, "head")
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) != LOCK_NOT_AVAILABLE:
                raise
            log.warning("a table is busy: no lock within %g s, %d tries left", settings.migration_lock_seconds, left)
            if not left:
                raise SystemExit(
                    f"error: {error.statement}: another transaction holds the table (the oldest `xact_start` in "
                    "pg_stat_activity); this migration changed nothing: end that transaction, then deploy again"
                ) from error
            time.sleep(PAUSE_SECONDS)
        else:
            return


async def _revision(settings: Settings) -> str | None:
    database = Database(settings)
    try:
        return await database.revision()
    finally:
        await database.close()


@contextmanager
def _embedded(settings: Settings) -> Iterator[None]:
    """Let one process at a time prepare the SQLite file (Postgres has locks of its own: see migrations/env.py)."""
    if not settings.embedded:
        yield
        return
    settings.state_directory.mkdir(parents=True, exist_ok=True)
    with (settings.state_directory / "migrate.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Readers and the writer do not block each other in WAL mode. The file remembers it.
        connection = sqlite3.connect(settings.state_directory / "app.db", timeout=LOCK_TIMEOUT)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.close()
        yield


if __name__ == "__main__":
    main()
