"""Repositories of other people, no two alike: each a mapping of paths to texts."""

import os
import subprocess
from pathlib import Path

SQLMODEL = {
    "pyproject.toml": """\
[project]
name = "heroes"
version = "1.0.0"
requires-python = ">=3.11"
dependencies = ["fastapi[standard]>=0.115", "sqlmodel>=0.0.22", "psycopg[binary]>=3.2", "alembic>=1.14", "pydantic-settings>=2.7"]

[dependency-groups]
dev = ["pytest"]
""",
    "uv.lock": "version = 1\n",
    "README.md": "# Heroes\n",
    ".env": "SESSION_SECRET=not-for-an-image\n",
    ".env.example": "SESSION_SECRET=\nREGION=eu-central-1\n",
    "heroes/__init__.py": "",
    "heroes/settings.py": """\
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_file=".env")

    database_url: str = "sqlite:///heroes.db"
    session_secret: str
    region: str
    page_size: int = 20


settings = Settings()
""",
    "heroes/models.py": """\
from sqlmodel import Field, SQLModel, create_engine

from heroes.settings import settings

engine = create_engine(settings.database_url)


class Hero(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    name: str
""",
    "heroes/main.py": """\
from fastapi import FastAPI
from sqlmodel import Session, select

from heroes.models import Hero, engine
from heroes.routers import health

app = FastAPI()
app.include_router(health.router, prefix="/ops")


@app.get("/heroes")
def heroes() -> list[Hero]:
    with Session(engine) as session:
        return list(session.exec(select(Hero)))
""",
    "heroes/routers/__init__.py": "",
    "heroes/routers/health.py": """\
from fastapi import APIRouter
from sqlmodel import Session, text

from heroes.models import engine

router = APIRouter()


@router.get("/health")
def health() -> dict[str, str]:
    with Session(engine) as session:
        session.exec(text("SELECT 1"))
    return {"status": "ok"}
""",
    "alembic.ini": "[alembic]\nscript_location = migrations\nprepend_sys_path = .\n",
    "migrations/env.py": """\
from alembic import context
from sqlmodel import SQLModel

from heroes.models import engine

with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=SQLModel.metadata)
    with context.begin_transaction():
        context.run_migrations()
""",
    "migrations/versions/0001_heroes.py": """\
import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table("hero", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String, nullable=False))
""",
    "tests/test_heroes.py": "from fastapi import FastAPI\n\napp = FastAPI()\n",
}

POETRY = {
    "pyproject.toml": """\
[tool.poetry]
name = "shop"
version = "2.1.0"
description = "A shop"
authors = ["A Person <person@example.com>"]
packages = [{include = "shop", from = "src"}]

[tool.poetry.dependencies]
python = "^3.11"
fastapi = "^0.115 || >=0.116"
gunicorn = "*"
uvicorn = "*"
uvicorn-worker = "*"

# A company's mirror, which has no other interface.
[[tool.poetry.source]]
name = "simple"
url = "https://pypi.org/simple/"

[tool.poetry.group.dev.dependencies]
pytest = "*"

[build-system]
requires = ["poetry-core>=2"]
build-backend = "poetry.core.masonry.api"
""",
    "poetry.lock": "",
    "src/shop/__init__.py": "",
    "src/shop/web.py": """\
from importlib.metadata import version

from fastapi import FastAPI


def create_app(title: str = "Shop") -> FastAPI:
    app = FastAPI(title=title, version=version("shop"), docs_url=None)

    @app.get("/")
    async def index() -> dict[str, str]:
        return {"shop": "open"}

    return app
""",
}

REQUIREMENTS = {
    "requirements.txt": "-r requirements-base.txt\nuvicorn[standard]\n",
    "requirements-base.txt": "# The web framework\nfastapi\n",
    "main.py": """\
import fastapi

from greetings import hello

api = fastapi.FastAPI()


@api.get("/healthz")
def healthz():
    return hello()
""",
    "greetings.py": 'def hello():\n    return "hello"\n',
    ".python-version": "3.12.4\n",
    "Dockerfile.dev": "FROM python:3.12\n",
}

MONOREPO = {
    "package.json": "{}\n",
    "services/web/package.json": "{}\n",
    "services/web/index.js": "\n",
    "services/api/pyproject.toml": """\
[project]
name = "api"
version = "0"
requires-python = ">=3.11,<3.13"
dependencies = ["fastapi", "hypercorn", "httpx"]

[tool.fastapi]
entrypoint = "api.server:service"
""",
    "services/api/uv.lock": "version = 1\n",
    "services/api/api/server.py": """\
from starlette.middleware.gzip import GZipMiddleware
from fastapi import FastAPI

from api import routes

service = FastAPI()
admin = FastAPI()
service.mount("/admin", admin)
service.include_router(routes.router)
""",
    "services/api/api/routes.py": """\
from fastapi import APIRouter

router = APIRouter(prefix="/status")


@router.get("/ready")
async def ready() -> bool:
    return True
""",
    "services/mailer/main.py": "print('no app')\n",
}

LARGE = {
    "pyproject.toml": """\
[project]
name = "predict"
version = "0"
requires-python = ">=3.11"
dependencies = ["starlette", "uvicorn"]
""",
    "predict/main.py": """\
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

app = Starlette(routes=[Route("/", lambda request: PlainTextResponse("ok"))])
""",
}

COMPLETE = {
    "pyproject.toml": '[project]\nname = "done"\nversion = "0"\ndependencies = ["fastapi", "uvicorn", "celery[redis]"]\n',
    "uv.lock": "version = 1\n",
    "app/main.py": "from fastapi import FastAPI\n\napp = FastAPI()\n",
    "app/other.py": "from fastapi import FastAPI\n\nother = FastAPI()\n",
    "Dockerfile": 'FROM python:3.13\nCOPY . /srv\nCMD ["uvicorn", "app.main:app", "--host", "0.0.0.0"]\n',
    ".dockerignore": ".git\n",
    "Procfile": "web: uvicorn app.main:app\nrelease: true\nworker: exec celery -A app.main worker\n",
    "deploy/production/hosts.yml": "app:\n  hosts:\n    mine: {ansible_host: 203.0.113.7}\n",
    ".github/workflows/deploy.yml": "name: mine\non: push\njobs: {}\n",
}

PDM = {
    "pyproject.toml": """\
[project]
name = "notes"
version = "0"
requires-python = ">=3.11"
dependencies = ["fastapi", "granian", "uvicorn"]

[tool.pdm]
distribution = false
""",
    "pdm.lock": "",
    "main.py": "from fastapi import FastAPI\n\napp = FastAPI()\n\n\n@app.get('/ping')\ndef ping():\n    return 'pong'\n",
}

WORKSPACE = {
    "pyproject.toml": '[tool.uv.workspace]\nmembers = ["packages/*", "services/*"]\n',
    "uv.lock": "version = 1\n",
    "packages/common/pyproject.toml": """\
[project]
name = "common"
version = "0"
requires-python = ">=3.11"

[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
""",
    "packages/common/src/common/__init__.py": 'WORD = "shared"\n',
    "services/api/pyproject.toml": """\
[project]
name = "api"
version = "0"
requires-python = ">=3.11"
dependencies = ["fastapi", "uvicorn", "common"]

[tool.uv.sources]
common = {workspace = true}

[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
""",
    "services/api/src/api/__init__.py": "",
    "services/api/src/api/main.py": """\
from common import WORD
from fastapi import FastAPI

app = FastAPI()


@app.get("/up")
def up():
    return WORD
""",
}

PIPENV = {
    "Pipfile": """\
[[source]]
url = "https://pypi.org/simple"
verify_ssl = true
name = "pypi"

[packages]
fastapi = "*"
uvicorn = "*"

[dev-packages]
pytest = "*"
""",
    "Pipfile.lock": "{}\n",
    "api/__init__.py": "",
    "api/main.py": """\
from .factory import create_app

app = create_app(title="pipenv")
""",
    "api/factory.py": """\
from fastapi import FastAPI


def create_app(title: str) -> FastAPI:
    app = FastAPI(title=title)

    @app.get("/healthz")
    def healthz():
        return title

    return app
""",
}

SETUPTOOLS = {
    "setup.cfg": """\
[metadata]
name = old
version = 1

[options]
package_dir = =src
packages = find:
python_requires = >=3.10
install_requires =
    fastapi
    granian

[options.packages.find]
where = src
""",
    "setup.py": "from setuptools import setup\n\nsetup()\n",
    "src/old/__init__.py": "",
    "src/old/app.py": """\
from importlib.metadata import version

from fastapi import FastAPI

app = FastAPI(version=version("old"))
""",
}

ALL = {
    "sqlmodel": SQLMODEL,
    "poetry": POETRY,
    "requirements": REQUIREMENTS,
    "monorepo": MONOREPO,
    "large": LARGE,
    "complete": COMPLETE,
    "pdm": PDM,
    "workspace": WORKSPACE,
    "pipenv": PIPENV,
    "setuptools": SETUPTOOLS,
}
LARGE_BYTES = 2 * 2**30


def make(name: str, folder: Path) -> Path:
    """Write a repository and commit it. The large one has 2 GB beside its app, which take no space on the disk."""
    for path, text in ALL[name].items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    if name == "large":
        (folder / "recordings").mkdir()
        (folder / "recordings/all.bin").touch()
        os.truncate(folder / "recordings/all.bin", LARGE_BYTES)
    subprocess.run(["git", "-C", folder, "init", "--quiet", "--initial-branch=main"], check=True)
    return folder
