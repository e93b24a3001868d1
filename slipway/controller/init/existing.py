"""What a repository has already: a Dockerfile, a Procfile, commands that start the app."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from slipway.controller.init import text

COMPOSE = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
STARTS = ("Procfile", *COMPOSE, "Makefile", "justfile")
SCRIPTS = ("*.sh", "scripts/*.sh", "docker/*.sh", "bin/*.sh")
DOCKERFILES = ("Dockerfile", "docker/Dockerfile", "Containerfile", "Dockerfile.prod", "Dockerfile.production")


@dataclass(frozen=True)
class Dockerfile:
    """An image's recipe and the folder that it is built from, both relative to the repository."""

    path: PurePosixPath
    context: PurePosixPath


def commands(folder: Path, places: list[PurePosixPath]) -> str:
    """Return the text of the files in some folders that may start the app, those of Docker without comments."""
    files = [folder / place / name for place in dict.fromkeys(places) for name in (*DOCKERFILES, *STARTS)]
    scripts = [
        script
        for place in dict.fromkeys(places)
        for pattern in SCRIPTS
        for script in sorted((folder / place).glob(pattern))
    ]
    texts = [text.read(file) for file in (*files, *scripts) if file.is_file()]
    return "\n".join(line for each in texts for line in each.splitlines() if not line.lstrip().startswith("#"))


def find_dockerfile(folder: Path, places: list[PurePosixPath]) -> Dockerfile | None:
    """Return the Dockerfile of the first folder that has one, and its context: where the files that it copies are."""
    for place in dict.fromkeys(places):
        for name in DOCKERFILES:
            path = place / name
            if (folder / path).is_file():
                copied = list(_copied(text.read(folder / path)))
                contexts = list(dict.fromkeys((place, path.parent, PurePosixPath())))
                return Dockerfile(
                    path, max(contexts, key=lambda context: sum(_exists(folder / context, each) for each in copied))
                )
    return None


def composed_stage(folder: Path, dockerfile: Dockerfile, places: list[PurePosixPath]) -> str:
    """Return the stage of a Dockerfile that Compose files build, if it is not the last; empty otherwise."""
    composed = "\n".join(text.read(folder / place / name) for place in dict.fromkeys(places) for name in COMPOSE)
    targets = re.findall(r"^\s+target:\s*[\"']?([\w.-]+)[\"']?\s*$", composed, re.MULTILINE)
    recipe = text.read(folder / dockerfile.path)
    stages = re.findall(r"^FROM\s+\S+(?:\s+AS\s+(\S+))?", recipe, re.MULTILINE | re.IGNORECASE)
    built = [stage for stage in stages if stage and stage in targets]
    return built[-1] if built and stages[-1] not in built else ""


def copies(folder: Path, dockerfile: Dockerfile, name: str) -> bool:
    """Tell whether the last stage of a Dockerfile, or one that it is built on, copies a file or the folder with it."""
    here = os.path.relpath(dockerfile.path.parent, dockerfile.context)
    sources = {".", f"./{here}", here, name, f"./{name}", "*"}
    stages = re.split(
        r"^FROM\s+", re.sub(r"\\\n", " ", text.read(folder / dockerfile.path)), flags=re.MULTILINE | re.IGNORECASE
    )
    named = {match[1]: stage for stage in stages if (match := re.match(r"\S+\s+AS\s+(\S+)", stage, re.IGNORECASE))}
    stage: str | None = stages[-1]
    while stage is not None:
        lines = re.findall(r"^\s*(?:COPY|ADD)\s+(.+)$", stage, re.MULTILINE | re.IGNORECASE)
        if any(sources & {word.rstrip("/") for word in re.split(r"[\s\[\],\"]+", line)[:-1]} for line in lines):
            return True
        base = stage.partition("\n")[0].split()
        stage = named.pop(base[0], None) if base else None
    return False


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
