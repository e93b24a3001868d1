"""How the tables of an app without migrations are created: the command that `release:` of the Procfile gets."""

import os
import subprocess
import sys
from pathlib import Path, PurePosixPath

import pytest

from slipway.controller.init.application import App
from slipway.controller.init.sources import Sources
from slipway.controller.init.tables import find_tables

CREATE = "SQLModel.metadata.create_all(engine)"
MAIN = "from fastapi import FastAPI\nfrom app import db, models\napp = FastAPI()\n"
LIFESPAN = """
from contextlib import asynccontextmanager
from fastapi import FastAPI

@asynccontextmanager
async def lifespan(app: FastAPI):
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    yield

app = FastAPI(lifespan=lifespan)
"""
ENTERED = (
    'python -c "import asyncio, contextlib; from app.main import app as app; '
    'asyncio.run(contextlib.AsyncExitStack().enter_async_context(app.router.lifespan_context(app)))"'
)


def found(folder: Path, files: dict[str, str], factory: str = "") -> str | None:
    (folder / "app").mkdir()
    (folder / "app/__init__.py").touch()
    for module, text in files.items():
        (folder / f"app/{module}.py").write_text(text)
    app = App(PurePosixPath("app/main.py"), factory or "app", is_factory=bool(factory))
    tables = find_tables(Sources.read(folder), app, PurePosixPath())
    return tables.command if tables else None


@pytest.mark.parametrize(
    ("files", "command"),
    [
        # SQLModel's own tutorial. The models are known once the app is imported.
        ({"db": f"def create_all():\n    {CREATE}\n"}, "import app.main; from app.db import create_all; create_all()"),
        (
            {"db": f"def make(echo=False, *, drop=False):\n    {CREATE}\n"},
            "import app.main; from app.db import make; make()",
        ),
        (
            {"db": "async def make():\n    await c.run_sync(Base.metadata.create_all)\n"},
            "import asyncio; import app.main; from app.db import make; asyncio.run(make())",
        ),
        ({"main": MAIN + f"def make():\n    {CREATE}\n"}, "from app.main import make; make()"),
        # FastAPI's tutorial of SQLAlchemy.
        ({"main": MAIN + "models.Base.metadata.create_all(bind=engine)\n"}, "import app.main"),
        ({"db": f"if engine:\n    {CREATE}\n"}, "import app.main; import app.db"),
        ({"db": "meta = MetaData()\nmetadata.create_all(engine)\n"}, "import app.main; import app.db"),
    ],
)
def test_the_function_or_the_import_that_creates_them(files: dict[str, str], command: str, tmp_path: Path) -> None:
    assert found(tmp_path, {"main": MAIN} | files) == f'python -c "{command}"'


@pytest.mark.parametrize(
    "main",
    [
        LIFESPAN,
        MAIN + f"@app.on_event('startup')\ndef start():\n    {CREATE}\n",
        MAIN + "@app.on_event('startup')\nasync def start():\n    await Tortoise.generate_schemas()\n",
    ],
)
def test_what_only_the_apps_start_does_is_done_by_starting_it(main: str, tmp_path: Path) -> None:
    assert found(tmp_path, {"main": main}) == ENTERED


def test_sql_that_creates_tables_does_so_as_well(tmp_path: Path) -> None:
    sql = "def make():\n    connect().execute('\\n  create table if not exists jobs (id int)')\n"
    assert found(tmp_path, {"main": MAIN, "db": sql}) == 'python -c "import app.main; from app.db import make; make()"'


@pytest.mark.parametrize(
    ("text", "is_refused"),
    [
        ("register_tortoise(app, generate_schemas=True)\n", True),
        ("def f():\n    x.execute('CREATE TABLE IF NOT EXISTS a ()')\nf()\n", True),
        ("def f():\n    x.execute('CREATE TABLE IF NOT EXISTS a ()')\n", False),  # that nobody calls
        (f"{CREATE}\n", False),
    ],
)
def test_what_postgresql_refuses_where_the_tables_are_there(text: str, is_refused: bool, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("from fastapi import FastAPI\napp = FastAPI()\n")
    (tmp_path / "db.py").write_text(text)
    tables = find_tables(Sources.read(tmp_path), App(PurePosixPath("main.py"), "app"), PurePosixPath())
    assert tables
    assert tables.is_by_sql is is_refused


def test_a_factorys_app_is_made_once_for_that(tmp_path: Path) -> None:
    command = found(tmp_path, {"main": LIFESPAN}, factory="make")
    assert command
    (tmp_path / "app/main.py").write_text(
        "import contextlib\n\nclass App:\n    def __init__(self):\n        print('made')\n        self.router = self\n"
        "    @contextlib.asynccontextmanager\n    async def lifespan_context(self, app):\n"
        "        assert app is self\n        print('started')\n        yield\n\nmake = App\n"
    )
    words = command.replace("python", sys.executable, 1)
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        ["sh", "-c", words], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout == "made\nstarted\n", done.stderr


@pytest.mark.parametrize(
    "text",
    [
        f"def make(engine):\n    {CREATE}\n",
        f"class Database:\n    def make(self):\n        {CREATE}\n",
        f"if __name__ == '__main__':\n    {CREATE}\n",
        f"@typer_app.command()\ndef make():\n    {CREATE}\n",
    ],
)
def test_no_command_is_invented(text: str, tmp_path: Path) -> None:
    assert found(tmp_path, {"main": MAIN, "db": text}) == ""


@pytest.mark.parametrize(
    "text",
    [
        "x = 'we CREATE TABLE'\n",
        "users.create_all()\n",
        "# Base.metadata.create_all(engine)\n",
        "x = 'metadata.create_all'\n",
    ],
)
def test_what_creates_no_tables(text: str, tmp_path: Path) -> None:
    assert found(tmp_path, {"main": MAIN, "db": text}) is None


def test_those_of_tests_are_not_the_apps(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/conftest.py").write_text(f"{CREATE}\n")
    assert found(tmp_path, {"main": MAIN, "test_db": f"{CREATE}\n"}) is None
