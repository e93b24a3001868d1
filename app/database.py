"""The connections of one worker to its database, and the two ways to use them.

A pool belongs to one process and one event loop, so it is made when the worker starts (see `app.main.lifespan`), never
at import: gunicorn imports the app once, then forks, and a connection must not be shared by two processes.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from pydantic import BaseModel
from sqlalchemy import Connection, event, inspect, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from app.settings import Settings

LOCK_TIMEOUT = 20
"""Seconds to wait for another process's write before the request fails. A write takes about a millisecond."""

COMMAND_TIMEOUT = 30
"""Seconds that a request waits for one statement on Postgres."""

READERS = 4
"""SQLite connections for reading in one worker; each is a thread."""


class Pool(BaseModel):
    """How many connections one worker may keep, how many are lent at this moment, and how many are beyond the first."""

    size: int
    checked_out: int
    overflow: int


class Database:
    """Reading and writing as two engines, which on Postgres are the same one.

    SQLite has one writer at a time. One writing connection per worker makes the requests of a worker queue in memory,
    in order, so that only the workers (not all their requests) contend for the file's lock.
    """

    def __init__(self, settings: Settings, command_timeout: float | None = COMMAND_TIMEOUT) -> None:
        """Connect to nothing yet. `command_timeout` is for one statement, in seconds; None waits for its end."""
        if settings.database_url is None:
            settings.state_directory.mkdir(parents=True, exist_ok=True)
            url = f"sqlite+aiosqlite:///{settings.state_directory / 'app.db'}"
            self.writer = _sqlite(url, connections=1, begin="BEGIN IMMEDIATE")
            self.reader = _sqlite(url, connections=READERS, begin="BEGIN")
        else:
            self.writer = self.reader = create_async_engine(
                settings.database_url.get_secret_value(),
                pool_size=settings.connections_per_worker,
                max_overflow=0,
                pool_pre_ping=True,  # finds out before the request does that a failover closed the connection
                connect_args={"timeout": 5, "command_timeout": command_timeout},
            )

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """Open a session that sees one moment of the database and never waits for a writer."""
        async with AsyncSession(self.reader) as session:
            yield session

    @asynccontextmanager
    async def write(self, *, one_statement: bool = False) -> AsyncIterator[AsyncSession]:
        """Open a session that commits at the end, or takes everything back if an exception leaves the block.

        `one_statement` promises that the block makes a single statement. SQLite then needs no BEGIN and COMMIT around
        it, and so is not locked for as long as this worker takes from one to the other, but only for the write itself.
        """
        engine = self.writer.execution_options(one_statement=one_statement)
        async with AsyncSession(engine, expire_on_commit=False) as session, session.begin():
            yield session

    async def revision(self) -> str | None:
        """Tell the migration that the database is at, by a real query; None if it has no tables yet.

        Raises SQLAlchemyError or OSError if the database does not answer.
        """
        async with self.reader.connect() as connection:
            return await _revision(connection)

    def use(self) -> Pool:
        """Tell the use of this worker's connections, for reading where those for writing are others."""
        pool = cast(QueuePool, self.reader.pool)
        # SQLAlchemy counts what is beyond the size from -size, which is no connection at all.
        return Pool(size=pool.size(), checked_out=pool.checkedout(), overflow=max(0, pool.overflow()))

    async def close(self) -> None:
        """Close every connection. On SQLite the last process to close also folds the write-ahead log into the file."""
        await self.reader.dispose()
        await self.writer.dispose()


async def _revision(connection: AsyncConnection) -> str | None:
    def known(sync: Connection) -> bool:
        return inspect(sync).has_table("alembic_version")

    if not await connection.run_sync(known):
        return None
    return cast("str | None", await connection.scalar(text("SELECT version_num FROM alembic_version")))


def _sqlite(url: str, connections: int, begin: str) -> AsyncEngine:
    engine = create_async_engine(
        url, pool_size=connections, max_overflow=0, pool_timeout=LOCK_TIMEOUT, connect_args={"timeout": LOCK_TIMEOUT}
    )

    # BEGIN IMMEDIATE takes the write lock at the start, where SQLite waits for it. A transaction that starts by reading
    # and writes later is refused at once ("database is locked") if someone else wrote in between, whatever the timeout.
    @event.listens_for(engine.sync_engine, "connect")
    def connect(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # the driver must not add a BEGIN of its own
        cursor = connection.cursor()
        cursor.execute("PRAGMA synchronous = NORMAL")  # in WAL mode: safe against crashes, no fsync for each commit
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def start(connection: Connection) -> None:
        if not connection.get_execution_options().get("one_statement"):
            connection.exec_driver_sql(begin)

    return engine
