"""What a repository has already: a Dockerfile, a Procfile, commands that start the app."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from slipway.controller.init import text
from slipway.controller.init.groups import DEVELOPMENT

COMPOSE = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
PRODUCTION = tuple(
    f"{name}{dot}{word}.{ending}"
    for name in ("compose", "docker-compose")
    for dot in ".-"
    for word in ("prod", "production")
    for ending in ("yaml", "yml")
)
"""Compose files for production, alone or on top of the usual one."""
STARTS = ("Procfile", *COMPOSE, *PRODUCTION, "Makefile", "justfile")
SCRIPTS = ("*.sh", "scripts/*.sh", "docker/*.sh", "bin/*.sh")
PYTHON = re.compile(r"^\s*(?:uv run |poetry run )?python3? (?!-m alembic)(?:-m )?(?:\./)?(\S+)", re.MULTILINE)
NO_PREPARATION = re.compile(
    r"uvicorn|gunicorn|fastapi|hypercorn|granian|pytest|docker|revision|celery|downgrade|^\s*exec\b", re.MULTILINE
)
"""What a script has that serves, tests, or is for another machine or a person."""
DOCKERFILES = tuple(
    f"{folder}{name}"
    for folder in ("", "docker/")
    for name in ("Dockerfile.prod", "Dockerfile.production", "Dockerfile", "dockerfile", "Containerfile")
)
"""Production's first: a Dockerfile beside it is for development."""
OTHERS = re.compile(
    r"^FROM\s+(\S*/)?(node|nginx|bun|deno|golang|caddy|httpd|rust|postgres|redis)\b", re.MULTILINE | re.IGNORECASE
)
OTHER_PLACES = ("docker", "docker/*", ".docker", "deploy", "deployment", "compose/*/*", "infra", "build", "images")
ASIDE = re.compile(
    rf"\.(dev|test)|{DEVELOPMENT.pattern}|worker|celery|beat|streamlit|gpu|cuda|front|ui|dockerignore|(^|/)\.devcontainer",
    re.IGNORECASE,
)
"""In the name or folder of a Dockerfile that is not the web server's."""
COMMANDED = re.compile(r"^\s*(CMD|ENTRYPOINT)\b", re.MULTILINE | re.IGNORECASE)
OURS = re.compile(r"python|\bpip|\buv\b|poetry|\bpdm\b|\.py\b|uvicorn|gunicorn|granian|hypercorn", re.IGNORECASE)


@dataclass(frozen=True)
class Dockerfile:
    """An image's recipe and the folder that it is built from, both relative to the repository."""

    path: PurePosixPath
    context: PurePosixPath


def commands(folder: Path, places: list[PurePosixPath]) -> str:
    """Return the text of the files in some folders that may start the app, those of Docker without comments."""
    files = [folder / place / name for place in dict.fromkeys(places) for name in (*DOCKERFILES, *STARTS)]
    texts = [text.read(file) for file in (*files, *_scripts(folder, places)) if file.is_file()]
    return "\n".join(line for each in texts for line in each.splitlines() if not line.lstrip().startswith("#"))


def find_preparation(folder: Path, workdir: PurePosixPath, starting: Collection[str]) -> PurePosixPath | None:
    """Return a script of the app that migrates and then fills the database; None without one.

    Args:
        folder: the repository.
        workdir: the folder that the app is started in.
        starting: what Python is told to run where it starts a server.
    """
    for script in _scripts(folder, [workdir]):
        content = text.read(script)
        migrates = re.search(r"^[^#\n]*\balembic\b.* upgrade\b", content, re.MULTILINE)
        ran = PYTHON.findall(content)
        serves = NO_PREPARATION.search(content) or any(
            f".{each}".endswith(f".{word}") for word in ran for each in starting
        )
        if migrates and ran and not serves:
            return PurePosixPath(script.relative_to(folder))
    return None


def find_dockerfile(folder: Path, places: list[PurePosixPath], built: Collection[Dockerfile] = ()) -> Dockerfile | None:
    """Return the Dockerfile of the first folder that has one, and its context: Compose's, or where its files are.

    Args:
        folder: the repository.
        places: folders in it that may have one with a usual name, the nearest first.
        built: what Compose builds the app from, whose Dockerfile may have any name.
    """
    contexts = {each.path: each for each in built}
    for place in dict.fromkeys(places):
        for name in DOCKERFILES:
            path = place / name
            if (folder / path).is_file() and is_pythons(text.read(folder / path)):
                return contexts.get(path) or Dockerfile(path, _context(folder, path, place))
    return next(iter(built), None) or _elsewhere(folder)


def _elsewhere(folder: Path) -> Dockerfile | None:
    """Return a Dockerfile of another name or in a folder for such files, if it starts a server and is production's."""
    found = [
        path
        for pattern in ("*ockerfile*", *(f"{place}/*ockerfile*" for place in OTHER_PLACES))
        for path in sorted(folder.glob(pattern))
        if path.is_file() and not ASIDE.search(str(path.relative_to(folder))) and COMMANDED.search(text.read(path))
    ]
    path = next((PurePosixPath(path.relative_to(folder)) for path in found if is_pythons(text.read(path))), None)
    return Dockerfile(path, _context(folder, path, PurePosixPath())) if path else None


def is_pythons(recipe: str) -> bool:
    """Tell whether a Dockerfile may be a Python app's, and not the front end's or a database's beside it."""
    return not OTHERS.search(recipe) or OURS.search(recipe) is not None


def _context(folder: Path, path: PurePosixPath, place: PurePosixPath) -> PurePosixPath:
    copied = list(_copied(text.read(folder / path)))
    contexts = list(dict.fromkeys((place, path.parent, PurePosixPath())))
    return max(contexts, key=lambda context: sum(_exists(folder / context, each) for each in copied))


def _scripts(folder: Path, places: list[PurePosixPath]) -> list[Path]:
    return [
        script
        for place in dict.fromkeys(places)
        for pattern in SCRIPTS
        for script in sorted((folder / place).glob(pattern))
    ]


def is_written_here(path: Path) -> bool:
    """Tell whether `slipway init` wrote a file, whatever was changed in it since."""
    return "Written by `slipway init`" in text.read(path)[:500]


def _copied(recipe: str) -> Iterator[str]:
    joined = re.sub(r"\\\n", " ", recipe)
    for line in re.findall(r"^\s*(?:COPY|ADD)\s+(.+)$", joined, re.MULTILINE | re.IGNORECASE):
        if "--from=" not in line:
            words = [word for word in re.split(r"[\s\[\],\"]+", line) if word and not word.startswith("--")]
            yield from (word for word in words[:-1] if word not in {".", "./"})


def _exists(context: Path, source: str) -> bool:
    try:
        return any(context.glob(source.lstrip("./") or "*"))
    except (ValueError, NotImplementedError):
        return False
