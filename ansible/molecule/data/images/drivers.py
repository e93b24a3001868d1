"""Connect by each driver that apps use, as the unit's environment says, and print who that is to PostgreSQL.

`drivers.py [USER]`: with a user, the exit status is 1 unless every way is that user.
"""

# mypy: ignore-errors
import asyncio
import json
import os
import sys
from collections.abc import Callable
from typing import Any

sys.path.insert(0, "/drivers")

import asyncpg
import databases
import dj_database_url
import psycopg
import psycopg2
import pydantic
import redis
import sqlalchemy
import sqlmodel
import tortoise
from sqlalchemy.ext.asyncio import create_async_engine

QUERY = "SELECT current_user"
URL = os.environ["DATABASE_URL"]
# The form without TCP, which the sockets still serve.
SOCKET = f"postgresql://{os.environ['PGUSER']}@localhost/app?host=/run/postgresql"


class Row(tortoise.Model):
    """Tortoise refuses to start without a model."""

    id = tortoise.fields.IntField(primary_key=True)


def plain(module: Any, *arguments: str) -> str:
    with module.connect(*arguments) as connection, connection.cursor() as cursor:
        cursor.execute(QUERY)
        return cursor.fetchone()[0]


def with_driver(url: str, driver: str) -> str:
    return url.replace("postgresql://", f"postgresql+{driver}://")


def engine(url: str) -> str:
    with sqlalchemy.create_engine(url).connect() as connection:
        return connection.execute(sqlalchemy.text(QUERY)).scalar_one()


async def async_engine(url: str) -> str:
    made = create_async_engine(url)
    async with made.connect() as connection:
        user = (await connection.execute(sqlalchemy.text(QUERY))).scalar_one()
    await made.dispose()
    return user


async def raw_asyncpg(*arguments: str) -> str:
    connection = await asyncpg.connect(*arguments)
    try:
        return await connection.fetchval(QUERY)
    finally:
        await connection.close()


async def encode_databases() -> str:
    async with databases.Database(URL) as database:
        return await database.fetch_val(QUERY)


async def tortoise_orm() -> str:
    url = URL.replace("postgresql://", "asyncpg://")
    await tortoise.Tortoise.init(db_url=url, modules={"models": ["__main__"]})
    try:
        return (await tortoise.connections.get("default").execute_query_dict(QUERY))[0]["current_user"]
    finally:
        await tortoise.Tortoise.close_connections()


def django() -> str:
    from django.conf import settings
    from django.db import connection

    settings.configure(DATABASES={"default": dj_database_url.parse(URL)})
    with connection.cursor() as cursor:
        cursor.execute(QUERY)
        return cursor.fetchone()[0]


def sqlmodel_session(url: str) -> str:
    with sqlmodel.Session(sqlmodel.create_engine(url)) as session:
        return session.exec(sqlalchemy.text(QUERY)).one()[0]


def built_from_parts() -> str:
    """As full-stack-fastapi-template does, by POSTGRES_SERVER and its like (app_data_environment)."""
    url = pydantic.PostgresDsn.build(
        scheme="postgresql+psycopg",
        username=os.environ["POSTGRES_USER"],
        password=os.environ["POSTGRES_PASSWORD"],
        host=os.environ["POSTGRES_SERVER"],
        port=int(os.environ["POSTGRES_PORT"]),
        path=os.environ["POSTGRES_DB"],
    )
    return engine(str(url))


def pydantic_dsn(url: str) -> str:
    return engine(with_driver(str(pydantic.TypeAdapter(pydantic.PostgresDsn).validate_python(url)), "psycopg"))


WAYS: dict[str, Callable[[], Any]] = {
    "psycopg": lambda: plain(psycopg, URL),
    "psycopg, PG*": lambda: plain(psycopg, ""),
    "psycopg2": lambda: plain(psycopg2, URL),
    "psycopg2, PG*": lambda: plain(psycopg2, ""),
    "asyncpg": lambda: raw_asyncpg(URL),
    "asyncpg, PG*": lambda: raw_asyncpg(),
    "SQLAlchemy": lambda: engine(with_driver(URL, "psycopg")),
    "SQLAlchemy, psycopg2": lambda: engine(with_driver(URL, "psycopg2")),
    "SQLAlchemy async, asyncpg": lambda: async_engine(with_driver(URL, "asyncpg")),
    "SQLAlchemy async, psycopg": lambda: async_engine(with_driver(URL, "psycopg")),
    "databases": encode_databases,
    "Django": django,
    "Tortoise": tortoise_orm,
    "SQLModel": lambda: sqlmodel_session(with_driver(URL, "psycopg")),
    "PostgresDsn": lambda: pydantic_dsn(URL),
    "PostgresDsn from parts": built_from_parts,
    # What app_data_access: socket gives.
    "socket: psycopg": lambda: plain(psycopg, SOCKET),
    "socket: psycopg2": lambda: plain(psycopg2, SOCKET),
    "socket: SQLAlchemy": lambda: engine(with_driver(SOCKET, "psycopg")),
    "socket: SQLAlchemy async, asyncpg": lambda: async_engine(with_driver(SOCKET, "asyncpg")),
    "socket: SQLAlchemy async, psycopg": lambda: async_engine(with_driver(SOCKET, "psycopg")),
    "socket: PostgresDsn": lambda: pydantic_dsn(SOCKET),
}


def main() -> None:
    found = {}
    for name, way in WAYS.items():
        try:
            user = way()
            found[name] = asyncio.run(user) if asyncio.iscoroutine(user) else user
        except Exception as error:
            found[name] = f"{type(error).__name__}: {error}"
    try:
        found["redis"] = str(redis.from_url(os.environ["REDIS_URL"]).ping())
    except redis.ConnectionError:
        found["redis"] = "refused"
    print(json.dumps(found))
    wrong = {name: user for name, user in found.items() if name != "redis" and sys.argv[1:] not in ([], [user])}
    sys.exit(f"not {sys.argv[1]}: {wrong}" if wrong else 0)


main()
