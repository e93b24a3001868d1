"""The embedded database's rows move to Postgres: all of them or none, and none is written where nobody looks any more."""

import asyncio
import shutil
import sqlite3
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import asyncpg  # type: ignore[import-untyped]
import pytest
from pydantic import SecretStr
from sqlalchemy import Boolean, Column, DateTime, Integer, MetaData, String, Table, func, insert, select

from app import import_sqlite
from app.database import Database
from app.import_sqlite import ImportRefusedError
from app.models import Base, Day, Link, QrCode
from app.settings import Settings
from tests.app.service import migrate

T = TypeVar("T")
pytestmark = pytest.mark.slow
AT = datetime(2026, 11, 29, 14, 0, 0, 123456, tzinfo=UTC)


TEMPLATE = "import_template"


@pytest.fixture(scope="module")
def migrated(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run the migrations once: the folder has an app.db with rows, and Postgres a template without any."""
    state = tmp_path_factory.mktemp("import")
    asyncio.run(execute(postgres_url, f"CREATE DATABASE {TEMPLATE}"))
    migrate(state)
    migrate(state, DATABASE_URL=postgres_url.replace("/postgres?", f"/{TEMPLATE}?"))
    write(Settings(state_directory=state))
    return state


@pytest.fixture
def settings(postgres_url: str, migrated: Path, state: Path) -> Iterator[Settings]:
    """Prepare a release that was switched to Postgres: the tables there are empty, its old rows are in app.db."""
    name = f"import_{uuid4().hex}"
    asyncio.run(execute(postgres_url, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}"))
    shutil.copy2(migrated / "app.db", state)
    yield Settings(database_url=SecretStr(postgres_url.replace("/postgres?", f"/{name}?")), state_directory=state)
    asyncio.run(execute(postgres_url, f"DROP DATABASE {name}"))


async def execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(statement)
    await connection.close()


def within(settings: Settings, work: Callable[[Database], Awaitable[T]]) -> T:
    async def run() -> T:
        database = Database(settings)
        try:
            return await work(database)
        finally:
            await database.close()

    return asyncio.run(run())


def write(settings: Settings) -> None:
    async def work(database: Database) -> None:
        async with database.write() as session:
            session.add_all(Link(slug=f"slug{n:04}", url=f"https://example.org/ä?{n}", clicks=n) for n in range(1200))
        async with database.write() as session:
            session.add(QrCode(digest="a", slug="slug0001", text="a", picture=b"\x00\xff", tries=1, sent_at=AT))
            session.add(QrCode(digest="b", slug="slug0002", text="b"))
            session.add(Day(day=date(2026, 11, 28), links=3, clicks=2**40))

    within(settings, work)


def counts(settings: Settings) -> dict[str, int]:
    async def work(database: Database) -> dict[str, int]:
        async with database.read() as session:
            tables = Base.metadata.sorted_tables
            return {each.name: await session.scalar(select(func.count()).select_from(each)) or 0 for each in tables}

    return within(settings, work)


def accepts_writes(settings: Settings) -> bool:
    with sqlite3.connect(settings.state_directory / "app.db") as database:
        try:
            database.execute("UPDATE links SET clicks = clicks + 0 WHERE slug = 'slug0001'")
        except sqlite3.IntegrityError as error:
            return "these rows were moved to Postgres" not in str(error)
    return True


MOVED = {"days": 1, "links": 1200, "qr_codes": 2}
NONE = dict.fromkeys(MOVED, 0)


def test_all_rows_arrive_as_they_were_and_the_old_file_refuses_writes(settings: Settings) -> None:
    assert asyncio.run(import_sqlite.copy(settings)) == 1203
    assert counts(settings) == MOVED

    async def look(database: Database) -> None:
        async with database.read() as session:
            picture = await session.get_one(QrCode, "a")
            assert (picture.picture, picture.sent_at) == (b"\x00\xff", AT)
            assert (await session.get_one(Link, "slug1199")).url == "https://example.org/ä?1199"
            assert (await session.get_one(Day, date(2026, 11, 28))).clicks == 2**40

    within(settings, look)
    assert not accepts_writes(settings)


def test_a_second_import_is_refused_and_changes_nothing(settings: Settings) -> None:
    asyncio.run(import_sqlite.copy(settings))
    with pytest.raises(ImportRefusedError, match=r"Postgres has 1 rows in days already: was the import done before"):
        asyncio.run(import_sqlite.copy(settings))
    assert counts(settings) == MOVED


def test_an_import_can_be_undone_and_done_again(settings: Settings) -> None:
    asyncio.run(import_sqlite.copy(settings))
    asyncio.run(import_sqlite.undo(settings))
    assert counts(settings) == NONE
    assert accepts_writes(settings)
    assert asyncio.run(import_sqlite.copy(settings)) == 1203


def test_an_undo_that_would_lose_a_write_is_refused(settings: Settings) -> None:
    asyncio.run(import_sqlite.copy(settings))

    async def follow(database: Database) -> None:
        async with database.write() as session:
            (await session.get_one(Link, "slug0001")).clicks += 1

    within(settings, follow)
    with pytest.raises(ImportRefusedError, match=r"Postgres has rows in links that app.db does not have"):
        asyncio.run(import_sqlite.undo(settings))
    assert counts(settings) == MOVED
    assert not accepts_writes(settings)


def test_no_acknowledged_write_is_lost_by_a_process_that_still_uses_the_file(settings: Settings) -> None:
    acknowledged: list[str] = []
    refused = threading.Event()

    def keep_writing() -> None:
        database = sqlite3.connect(settings.state_directory / "app.db", timeout=30, isolation_level=None)
        while not refused.is_set():
            slug = f"late{len(acknowledged):05}"
            try:
                database.execute("INSERT INTO links VALUES (?, 'https://example.org', 0, ?)", [slug, str(AT)[:26]])
            except sqlite3.IntegrityError:
                refused.set()
            else:
                acknowledged.append(slug)

    writer = threading.Thread(target=keep_writing)
    writer.start()
    time.sleep(0.2)
    asyncio.run(import_sqlite.copy(settings))
    assert refused.wait(30)
    writer.join()
    assert acknowledged
    assert counts(settings)["links"] == 1200 + len(acknowledged)


def test_a_row_that_postgres_does_not_take_stops_all(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with sqlite3.connect(settings.state_directory / "app.db") as database:
        database.execute("UPDATE links SET url = 'https://example.org/' || char(0) WHERE slug = 'slug1100'")
    monkeypatch.setattr(Settings, "load", lambda: settings)
    with pytest.raises(SystemExit, match=r"error: Postgres is as it was: .*invalid byte sequence.* --undo"):
        import_sqlite.main([])
    assert counts(settings) == NONE
    assert accepts_writes(settings)


def test_a_copy_that_differs_is_refused(settings: Settings) -> None:
    trigger = (
        "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.clicks = 0; RETURN NEW; END $$;"
        "CREATE TRIGGER spoil BEFORE INSERT ON links FOR EACH ROW EXECUTE FUNCTION spoil()"
    )
    assert settings.database_url
    asyncio.run(execute(settings.database_url.get_secret_value().replace("+asyncpg", ""), trigger))
    with pytest.raises(ImportRefusedError, match=r"the rows of links did not arrive as they are"):
        asyncio.run(import_sqlite.copy(settings))
    assert counts(settings) == NONE
    assert accepts_writes(settings)


def test_a_release_that_was_not_switched_is_refused(settings: Settings) -> None:
    with pytest.raises(ImportRefusedError, match=r"DATABASE_URL is not set, so this release uses .*app.db"):
        asyncio.run(import_sqlite.copy(settings.model_copy(update={"database_url": None})))
    assert accepts_writes(settings)


def test_a_missing_file_is_refused_and_not_created(settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    with pytest.raises(ImportRefusedError, match=r"there is no .*elsewhere/app.db"):
        asyncio.run(import_sqlite.copy(settings.model_copy(update={"state_directory": folder})))
    assert list(folder.iterdir()) == []


def test_a_database_that_does_not_answer_or_has_no_tables_is_refused(
    settings: Settings, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Settings(database_url=SecretStr(postgres_url.replace("/postgres?", "/template1?")))
    with pytest.raises(ImportRefusedError, match=r"app.db has migration 0002, Postgres None"):
        asyncio.run(import_sqlite.copy(settings.model_copy(update={"database_url": other.database_url})))
    absent = Settings(
        database_url=SecretStr("postgresql://app:no@127.0.0.1:1/app"), state_directory=settings.state_directory
    )
    monkeypatch.setattr(Settings, "load", lambda: absent)
    with pytest.raises(SystemExit, match=r"error: Postgres is as it was: .*127.0.0.1"):
        import_sqlite.main([])
    assert accepts_writes(settings)


def test_sequences_and_truth_values_of_other_models(settings: Settings) -> None:
    """Any model's: the example app has no number that the database draws."""
    metadata = MetaData()
    orders = Table(
        "orders",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("paid", Boolean, nullable=False),
        Column("at", DateTime(timezone=True)),
    )
    Table("notes", metadata, Column("id", Integer, primary_key=True), Column("text", String))
    embedded = settings.model_copy(update={"database_url": None})
    for each in (settings, embedded):
        within(each, lambda database: create(database, metadata))

    async def order(database: Database) -> int:
        async with database.write() as session:
            made = await session.execute(insert(orders).values(paid=True, at=AT).returning(orders.c.id))
            return int(made.scalar_one())

    assert [within(embedded, order) for _ in range(3)] == [1, 2, 3]
    assert asyncio.run(import_sqlite.copy(settings, metadata)) == 3
    assert within(settings, order) == 4

    async def paid(database: Database) -> list[tuple[bool, datetime]]:
        async with database.read() as session:
            return [(row.paid, row.at) for row in await session.execute(select(orders.c.paid, orders.c.at))]

    assert within(settings, paid) == 4 * [(True, AT)]


async def create(database: Database, metadata: MetaData) -> None:
    async with database.writer.begin() as connection:
        await connection.run_sync(metadata.create_all)
