"""What the database must stand: two releases at once, migrations beside them, and being away."""

import asyncio
import sqlite3
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from app import links, schema
from app.database import READERS, Database, Pool
from app.models import Link
from app.settings import Settings
from tests.app.service import ROOT, load, migrate, running


def test_the_needed_migration_is_alembics_head() -> None:
    config = Config(toml_file=str(ROOT / "app/pyproject.toml"))
    assert ScriptDirectory.from_config(config).get_heads() == [schema.HEAD]


@pytest.mark.slow
def test_two_releases_write_to_one_file_without_an_error(state: Path) -> None:
    """A cutover, from the file's side: both releases have it open, one after the other goes, all are written to."""
    with running(state, name="old", WEB_CONCURRENCY="2") as old:
        migrate(state)
        with running(state, name="new", WEB_CONCURRENCY="2") as new:
            both = asyncio.run(load([old.url, new.url], seconds=3, least=101))
        after = asyncio.run(load([old.url], seconds=1))
    assert both["failed"] == after["failed"] == 0, old.logged()
    assert both["answered"] > 100


def test_readyz_names_the_cause(state: Path) -> None:
    with running(state) as service:
        database = sqlite3.connect(state / "app.db")
        database.execute("UPDATE alembic_version SET version_num = '0000'")
        database.commit()
        answer = httpx.get(f"{service.url}/readyz")
        assert answer.status_code == 503
        assert answer.headers["content-type"] == "application/problem+json"
        assert "at migration 0000" in answer.json()["detail"]
        assert "python -m app.migrate" in answer.json()["detail"]

        database.execute("UPDATE alembic_version SET version_num = '9999'")
        database.commit()
        database.close()
        assert httpx.get(f"{service.url}/readyz").status_code == 200, "a newer release's schema is no reason to stop"


def test_readyz_tells_the_use_of_the_pool(state: Path) -> None:
    with running(state) as service:
        assert httpx.get(f"{service.url}/readyz").json() == {
            "status": "ok",
            "pool": {"size": READERS, "checked_out": 0, "overflow": 0},
        }

    async def lent() -> Pool:
        database = Database(Settings(state_directory=state))
        async with database.read() as one, database.read() as two:
            await one.scalar(select(func.count()).select_from(Link))
            await two.scalar(select(func.count()).select_from(Link))
            use = database.use()
        await database.close()
        return use

    assert asyncio.run(lent()) == Pool(size=READERS, checked_out=2, overflow=0)


def test_a_database_that_is_away_is_said_so(state: Path) -> None:
    """Nothing is behind this URL: the service starts and lives, is not ready, says why, and answers problems."""
    url = f"postgresql://app:secret@/app?host={state}"
    with running(state, ready="/livez", DATABASE_URL=url) as service:
        ready = httpx.get(f"{service.url}/readyz")
        assert ready.status_code == 503
        assert "does not answer" in ready.json()["detail"]
        assert "secret" not in ready.text
        assert httpx.get(f"{service.url}/aaaaaaaa").status_code == 503
        assert "secret@" not in service.logged()


@pytest.mark.slow
def test_migrations_can_be_taken_back_and_match_the_models(state: Path) -> None:
    def alembic(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [Path(sys.executable).with_name("alembic"), *arguments],
            cwd=ROOT / "app", env={"STATE_DIRECTORY": str(state)}, capture_output=True, text=True, check=False,
        )  # fmt: skip

    migrate(state)
    check = alembic("check")
    assert check.returncode == 0, check.stdout + check.stderr
    assert alembic("downgrade", "base").returncode == 0
    assert alembic("upgrade", "head").returncode == 0


def test_a_taken_slug_is_drawn_again(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    migrate(state)
    draws = iter(["aaaaaaaa", "aaaaaaaa", "bbbbbbbb", *["aaaaaaaa"] * 5])
    monkeypatch.setattr(links, "new_slug", lambda: next(draws))

    async def story() -> None:
        database = Database(Settings(state_directory=state))
        assert (await links.insert(database, "https://example.org/")).slug == "aaaaaaaa"
        assert (await links.insert(database, "https://example.org/")).slug == "bbbbbbbb"
        with pytest.raises(IntegrityError):
            await links.insert(database, "https://example.org/")
        await database.close()

    asyncio.run(story())


def test_a_transaction_is_all_or_nothing(state: Path) -> None:
    migrate(state)

    async def story() -> int | None:
        database = Database(Settings(state_directory=state))
        with pytest.raises(ZeroDivisionError):  # noqa: PT012
            async with database.write() as session:
                for slug in ("aaaaaaaa", "bbbbbbbb"):
                    session.add(Link(slug=slug, url="https://example.org/"))
                    await session.flush()
                raise ZeroDivisionError
        async with database.read() as session:
            count = await session.scalar(select(func.count()).select_from(Link))
        await database.close()
        return count

    assert asyncio.run(story()) == 0
