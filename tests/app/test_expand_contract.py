"""The next release migrates while this one serves: what it may do, and what happens when it cannot."""

import asyncio
import shutil
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import httpx
import pytest
from alembic.script import ScriptDirectory

from app import schema
from tests.app import postgres
from tests.app.compatibility import findings
from tests.app.service import ROOT, load, migrate, migrating, running

pytestmark = pytest.mark.slow

ADD_COLUMN = 'op.add_column("links", sa.Column("note", sa.Text))'
EXPAND = (
    f"""
{ADD_COLUMN}
op.add_column("links", sa.Column("hidden", sa.Boolean, nullable=False, server_default=sa.false()))
op.create_table("tags", sa.Column("name", sa.String(40), primary_key=True))
""",
    """
with op.get_context().autocommit_block():
    op.drop_index("links_by_time", "links", if_exists=True, postgresql_concurrently=True)
    op.create_index("links_by_time", "links", ["created_at"], if_not_exists=True, postgresql_concurrently=True)
""",
)
CONTRACT_TOO_EARLY = """
with op.batch_alter_table("links") as links:
    links.drop_column("clicks")
"""


def release(folder: Path, *upgrades: str) -> Path:
    """Make the next release: this one, and some migrations more. Returns its folder."""
    for part in ("app", "server"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    for number, upgrade in enumerate(upgrades, int(schema.HEAD) + 1):
        (folder / f"app/migrations/versions/{number:04}_next.py").write_text(
            "import sqlalchemy as sa\nfrom alembic import op\n\n"
            f"revision = '{number:04}'\ndown_revision = '{number - 1:04}'\n\n\n"
            f"def upgrade():\n{indent(upgrade.strip(), '    ')}\n"
        )
    return folder


def refused(folder: Path) -> set[str]:
    """Tell the rules that the migrations of a release break."""
    scripts = ScriptDirectory(str(folder / "app/migrations"))
    return {found.rule for script in scripts.iterate_revisions("heads", schema.HEAD) for found in findings(script)}


@dataclass
class Data:
    """A database with this release's schema, and how to ask it by other ways than the app's."""

    state: Path
    url: str
    """Of Postgres; empty for the embedded one, as the app takes it."""

    def ask(self, query: str) -> Any:
        """Return the first value."""
        if not self.url:
            with sqlite3.connect(self.state / "app.db") as database:
                return database.execute(query).fetchone()[0]

        async def value() -> Any:
            connection = await asyncpg.connect(self.url)
            try:
                return await connection.fetchval(query)
            finally:
                await connection.close()

        return asyncio.run(value())

    def revision(self) -> str:
        return str(self.ask("SELECT version_num FROM alembic_version"))


@pytest.fixture(params=["sqlite", "postgres"])
def data(request: pytest.FixtureRequest, state: Path) -> Iterator[Data]:
    if request.param == "sqlite":
        migrate(state)
        yield Data(state, "")
        return
    with postgres.cluster() as url:
        migrate(state, DATABASE_URL=url)
        yield Data(state, url)


@pytest.fixture
def server(state: Path) -> Iterator[Data]:
    with postgres.cluster() as url:
        migrate(state, DATABASE_URL=url)
        yield Data(state, url)


def test_the_release_before_serves_on_what_the_next_one_adds(data: Data, tmp_path: Path) -> None:
    """A deploy, the cutover, and a rollback, as the database sees them."""
    following = release(tmp_path / "next", *EXPAND)
    assert not refused(following)

    async def deploy(url: str) -> Counter[str]:
        count: Counter[str] = Counter()
        migrations = asyncio.create_task(asyncio.to_thread(migrate, data.state, following, DATABASE_URL=data.url))
        while not migrations.done():
            count += await load([url], seconds=0.5)
        await migrations
        return count

    with running(data.state, name="old", WEB_CONCURRENCY="2", DATABASE_URL=data.url) as old:
        assert asyncio.run(deploy(old.url))["failed"] == 0, old.logged()
        with running(data.state, name="new", root=following, WEB_CONCURRENCY="2", DATABASE_URL=data.url) as new:
            assert asyncio.run(load([old.url, new.url], seconds=2))["failed"] == 0, old.logged() + new.logged()

    migrate(data.state, DATABASE_URL=data.url)  # a rollback runs none; if somebody does, it is no way back either
    assert data.revision() > schema.HEAD
    with running(data.state, name="again", WEB_CONCURRENCY="2", DATABASE_URL=data.url) as again:
        assert asyncio.run(load([again.url], seconds=1))["failed"] == 0, again.logged()
    assert data.ask("SELECT count(*) FROM links WHERE note IS NULL AND NOT hidden") > 0, "its rows have the new columns"


def test_one_that_removes_at_once_breaks_it(data: Data, tmp_path: Path) -> None:
    """What the check is for: the same story with a migration that it refuses."""
    with running(data.state, DATABASE_URL=data.url) as old:
        following = release(tmp_path / "next", CONTRACT_TOO_EARLY)
        assert refused(following) == {"ban-drop-column"}
        migrate(data.state, following, DATABASE_URL=data.url)
        assert httpx.post(f"{old.url}/links", json={"url": "https://example.org/"}).status_code >= 500


def test_one_that_fails_leaves_nothing(data: Data, tmp_path: Path) -> None:
    broken = release(
        tmp_path / "next", 'op.create_table("tags", sa.Column("a", sa.Text))\nop.execute("SELECT no_such()")'
    )
    with migrating(data.state, broken, DATABASE_URL=data.url) as process:
        said, _ = process.communicate()
    assert process.returncode != 0
    assert "no_such" in said
    assert data.revision() == schema.HEAD
    migrate(
        data.state,
        release(tmp_path / "mended", 'op.create_table("tags", sa.Column("a", sa.Text))'),
        DATABASE_URL=data.url,
    )


def test_two_at_once_take_turns(data: Data, tmp_path: Path) -> None:
    following = release(tmp_path / "next", *EXPAND)
    with (
        migrating(data.state, following, DATABASE_URL=data.url) as one,
        migrating(data.state, following, DATABASE_URL=data.url) as two,
    ):
        said = [process.communicate()[0] for process in (one, two)]
    assert (one.returncode, two.returncode) == (0, 0), said


def test_a_busy_table_stops_the_migration_and_not_the_requests(server: Data, tmp_path: Path) -> None:
    """Somebody reads the table in a transaction that does not end."""
    following = release(tmp_path / "next", ADD_COLUMN)

    async def story(url: str) -> tuple[str, int, list[float]]:
        busy = await asyncpg.connect(server.url)
        await busy.execute("BEGIN; SELECT count(*) FROM links")
        took: list[float] = []
        with migrating(server.state, following, DATABASE_URL=server.url, MIGRATION_LOCK_SECONDS="1") as process:
            ended = asyncio.create_task(asyncio.to_thread(process.communicate))
            async with httpx.AsyncClient(base_url=url, timeout=30) as http:
                while not ended.done():
                    began = time.monotonic()
                    assert (await http.post("/links", json={"url": "https://example.org/"})).status_code == 201
                    took.append(time.monotonic() - began)
                    await asyncio.sleep(0.01)
            said, _ = await ended
        await busy.close()
        return said, process.returncode, took

    with running(server.state, DATABASE_URL=server.url) as old:
        said, status, took = asyncio.run(story(old.url))
    assert status == 1, said
    assert said.count("a table is busy: no lock within 1 s") == 5, said
    assert "another transaction holds the table" in said.splitlines()[-1]
    assert server.revision() == schema.HEAD
    assert 0.5 < max(took) < 2, "they wait behind the migration, but only until it gives up"


def test_it_comes_through_when_the_table_is_free_again(server: Data, tmp_path: Path) -> None:
    following = release(tmp_path / "next", ADD_COLUMN)

    async def story() -> str:
        busy = await asyncpg.connect(server.url)
        await busy.execute("BEGIN; SELECT count(*) FROM links")
        with migrating(server.state, following, MIGRATION_LOCK_SECONDS="0.2", DATABASE_URL=server.url) as process:
            assert process.stdout
            said = ""
            while "a table is busy" not in said:
                said += await asyncio.to_thread(process.stdout.readline)
            await busy.close()
            said += (await asyncio.to_thread(process.communicate))[0]
        assert process.returncode == 0, said
        return said

    asyncio.run(story())
    assert server.revision() > schema.HEAD


def test_one_that_is_killed_holds_nothing(server: Data, tmp_path: Path) -> None:
    """The server ends the statement whose sender is gone; the next one need not wait for its end."""
    slow = release(tmp_path / "slow", f'{ADD_COLUMN}\nop.execute("SELECT pg_sleep(60)")')
    with migrating(server.state, slow, DATABASE_URL=server.url) as process:
        while not server.ask("SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)'"):
            assert process.poll() is None
            time.sleep(0.1)
        process.kill()
    began = time.monotonic()
    migrate(server.state, release(tmp_path / "next", ADD_COLUMN), DATABASE_URL=server.url)
    assert time.monotonic() - began < 20
    assert server.revision() > schema.HEAD


def test_a_statement_may_take_longer_than_a_request(server: Data, tmp_path: Path) -> None:
    slow = release(tmp_path / "slow", 'op.execute("SELECT pg_sleep(3)")')
    module = slow / "app/database.py"
    module.write_text(module.read_text().replace("COMMAND_TIMEOUT = 30", "COMMAND_TIMEOUT = 1"))
    migrate(server.state, slow, DATABASE_URL=server.url)


def test_what_writes_an_index_while_the_table_is_used_need_not_wait_for_whoever_comes_second(
    server: Data, tmp_path: Path
) -> None:
    """CREATE INDEX CONCURRENTLY waits for every statement that began before it: one that waits its turn is not one."""
    following = release(tmp_path / "next", 'op.execute("SELECT pg_sleep(2)")', *EXPAND)
    with migrating(server.state, following, DATABASE_URL=server.url) as one:
        time.sleep(1)
        with migrating(server.state, following, DATABASE_URL=server.url) as two:
            said = [process.communicate(timeout=60)[0] for process in (one, two)]
    assert (one.returncode, two.returncode) == (0, 0), said
    assert "a table is busy" not in said[0] + said[1]
