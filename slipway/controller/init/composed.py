"""Other processes of the app that a Compose file runs beside its web server, from the same image."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from slipway.controller.init import text
from slipway.controller.init.existing import COMPOSE
from slipway.controller.init.processes import Process

RESERVED = {"env", "run", "process", "jobs", "web", "release"}
OTHERS = re.compile(
    r"\b(uvicorn|gunicorn|hypercorn|granian|fastapi|runserver|streamlit|flower|alembic|migrat\w*|upgrade|prestart|init_db"
    r"|initial_data|pytest|watchfiles|watchmedo|npm|tail|sleep|bash)\b"
)
"""Commands that serve, migrate, test or are for development."""


def composed_processes(folder: Path, places: list[PurePosixPath], context: PurePosixPath) -> tuple[Process, ...]:
    """Return a process for each service that runs a command of its own in the app's image, none if no file can be read.

    Each is single: Compose runs one of it, and two releases run during a deploy.

    Args:
        folder: the repository.
        places: folders that may have a Compose file, the nearest first.
        context: what the app's image is built from, relative to the repository.
    """
    for file in (folder / place / name for place in dict.fromkeys(places) for name in COMPOSE):
        if file.is_file():
            return tuple(_processes(_services(text.read(file)), file.parent, folder / context))
    return ()


def _services(content: str) -> dict[str, Any]:
    try:
        services = (yaml.safe_load(content) or {}).get("services")
    except (yaml.YAMLError, AttributeError):
        return {}
    return services if isinstance(services, dict) else {}


def _processes(services: dict[str, Any], beside: Path, context: Path) -> Iterator[Process]:
    built = [service for service in services.values() if _builds(service, beside, context)]
    images = {service["image"] for service in built if service.get("image")}
    for key, service in services.items():
        name = re.sub(r"\W", "_", str(key))
        if name in RESERVED or not (service in built or (isinstance(service, dict) and service.get("image") in images)):
            continue
        command = _command(service.get("command"))
        # People start a profile by hand, and only Compose knows the value of a variable.
        if command and not service.get("profiles") and "$" not in command and not OTHERS.search(command):
            yield Process(name, f"exec {command.removeprefix('exec ')}", is_single=True)


def _builds(service: object, beside: Path, context: Path) -> bool:
    build = service.get("build") if isinstance(service, dict) else None
    if isinstance(build, dict):
        build = build.get("context", ".")
    return isinstance(build, str) and (beside / build).resolve() == context.resolve()


def _command(value: object) -> str:
    """Return a command as a shell's line; Compose splits a text into words, and starts no shell."""
    try:
        return shlex.join(shlex.split(value) if isinstance(value, str) else [str(word) for word in value or ()])  # type: ignore[attr-defined]
    except (ValueError, TypeError):
        return ""
