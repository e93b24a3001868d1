"""An app of somebody who has never seen Slipway, with data in PostgreSQL, in SQLite and in files."""

import subprocess
from pathlib import Path

MAIN = '''"""Notes, each kept in three places."""

import os
import sqlite3
from pathlib import Path

import psycopg
from fastapi import FastAPI

STATE = Path(os.environ.get("STATE_DIRECTORY", "/tmp"))
app = FastAPI()


@app.get("/")
def kept() -> dict[str, list[str]]:
    with psycopg.connect(os.environ["DATABASE_URL"]) as database:
        rows = database.execute("SELECT text FROM notes ORDER BY text").fetchall()
    lite = sqlite3.connect(STATE / "notes.db")
    lite.execute("CREATE TABLE IF NOT EXISTS notes (text)")
    copies = lite.execute("SELECT text FROM notes ORDER BY text").fetchall()
    files = sorted(path.stem for path in STATE.glob("*.txt"))
    return {"postgresql": [text for text, in rows], "sqlite": [text for text, in copies], "files": files}


@app.post("/{text}")
def keep(text: str) -> None:
    with psycopg.connect(os.environ["DATABASE_URL"]) as database:
        database.execute("INSERT INTO notes (text) VALUES (%s)", [text])
    with sqlite3.connect(STATE / "notes.db") as lite:
        lite.execute("CREATE TABLE IF NOT EXISTS notes (text)")
        lite.execute("INSERT INTO notes VALUES (?)", [text])
    (STATE / f"{text}.txt").write_text(text)
'''
CREATE = "CREATE TABLE IF NOT EXISTS notes (id serial PRIMARY KEY, text text NOT NULL)"
RENAME = "ALTER TABLE notes RENAME TO records"
"""A migration that the code before it does not know."""
RENAMED_MAIN = MAIN.replace(
    'database.execute("SELECT text FROM notes', 'database.execute("SELECT text FROM records'
).replace("INTO notes (text)", "INTO records (text)")
"""The code that does."""

# From Debian alone: it needs no registry and no index of packages.
DOCKERFILE = """FROM debian:trixie-slim
RUN apt-get update && apt-get install -y --no-install-recommends python3-fastapi python3-psycopg uvicorn && rm -rf /var/lib/apt/lists/*
WORKDIR /srv/shop
COPY . .
EXPOSE 8000
CMD ["uvicorn", "main:app", "--host", "0.0.0.0"]
"""
MIGRATE = '''"""Runs what is new in migrations/, in the order of the names."""

import os
from pathlib import Path

import psycopg

with psycopg.connect(os.environ["DATABASE_URL"]) as database:
    database.execute("CREATE TABLE IF NOT EXISTS schema_migrations (name text PRIMARY KEY)")
    done = {name for name, in database.execute("SELECT name FROM schema_migrations").fetchall()}
    for file in sorted(Path("migrations").glob("*.sql")):
        if file.name not in done:
            database.execute(file.read_text())
            database.execute("INSERT INTO schema_migrations VALUES (%s)", [file.name])
'''
VARIABLES = {
    "host_admin": "admin",
    "nginx_server_names": ["localhost", "127.0.0.1"],
    "app_allow_jit": True,  # Debian's psycopg calls libpq by ctypes
    "app_ready_path": "/",
    "app_version_path": "",
}
DATA_VARIABLES = {f"data_{name}_password": f"tests-only-{20 * 'y'}" for name in ("app", "migrate", "broker")}
"""Those of a data host of its own."""


def write(folder: Path) -> Path:
    """Write the repository."""
    files = {
        "main.py": MAIN,
        "migrate.py": MIGRATE,
        "migrations/0001_notes.sql": CREATE,
        "Procfile": "release: python3 migrate.py\n",
        "Dockerfile": DOCKERFILE,
        ".dockerignore": "deploy\n.git\n",
        "deploy/production/hosts.yml": "app:\n",
        "deploy/production/settings.env": "",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    git = (
        "git",
        "-C",
        str(folder),
        "-c",
        "user.name=t",
        "-c",
        "user.email=t@example.com",
        "-c",
        "init.defaultBranch=main",
    )
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "A shop"]):
        subprocess.run([*git, *command], check=True)
    return folder
