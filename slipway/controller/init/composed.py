"""What Compose files say of the app: its Dockerfile, its other processes, the path that tells whether it is healthy."""

import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from slipway.controller.init import text
from slipway.controller.init.application import SERVERS, starting_modules
from slipway.controller.init.existing import COMPOSE, PRODUCTION, Dockerfile, is_pythons
from slipway.controller.init.processes import Process
from slipway.controller.init.sources import Sources

RESERVED = {"env", "run", "process", "jobs", "web", "release"}
OTHERS = re.compile(
    r"\b(uvicorn|gunicorn|hypercorn|granian|fastapi|runserver|streamlit|flower|alembic|migrat\w*|upgrade|prestart|init_db"
    r"|initial_data|pytest|watchfiles|watchmedo|npm|tail|sleep|bash)\b"
)
"""Commands that serve, migrate, test or are for development."""


@dataclass(frozen=True)
class Composed:
    """The services of the Compose files in a folder."""

    beside: Path
    services: dict[str, dict[str, Any]]

    @classmethod
    def read(cls, folder: Path, places: Iterable[PurePosixPath]) -> "Composed":
        """Read the first folder that has such files: the usual one, with production's on top."""
        candidates = [folder / place / below for place in dict.fromkeys(places) for below in ("", "docker")]
        for beside in candidates:
            usual = next((beside / name for name in COMPOSE if (beside / name).is_file()), None)
            production = next((beside / name for name in PRODUCTION if (beside / name).is_file()), None)
            if files := [file for file in (usual, production) if file]:
                services: dict[str, dict[str, Any]] = {}
                for file in files:
                    for name, service in _services(text.read(file)).items():
                        services[name] = services.get(name, {}) | service
                return cls(beside, services)
        return cls(folder, {})

    def dockerfiles(self, folder: Path, app: PurePosixPath) -> list[Dockerfile]:
        """Return the Dockerfiles that are built in a folder with the app, each once."""
        found: list[Dockerfile] = []
        for service in self.services.values():
            context = self._context(service)
            build = service.get("build")
            name = str(build.get("dockerfile", "Dockerfile")) if isinstance(build, dict) else "Dockerfile"
            path = (context / name).resolve() if context else None
            if not context or not path or not path.is_file() or not (folder / app).is_relative_to(context):
                continue
            if path.is_relative_to(folder) and context.is_relative_to(folder) and is_pythons(text.read(path)):
                found.append(
                    Dockerfile(PurePosixPath(path.relative_to(folder)), PurePosixPath(context.relative_to(folder)))
                )
        return list(dict.fromkeys(found))

    def of_image(self, context: Path) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the services that run in an image built in a folder."""
        built = [service for service in self.services.values() if self._context(service) == context.resolve()]
        images = {str(service["image"]) for service in built if service.get("image")}
        for name, service in self.services.items():
            if service in built or str(service.get("image")) in images:
                yield name, service

    def _context(self, service: dict[str, Any]) -> Path | None:
        build = service.get("build")
        if isinstance(build, dict):
            build = build.get("context", ".")
        return (self.beside / build).resolve() if isinstance(build, str) else None


def composed_processes(composed: Composed, context: Path, sources: Sources) -> tuple[Process, ...]:
    """Return a process for each service that runs a command of its own in the app's image, none if no file can be read.

    Each is single: Compose runs one of it, and two releases run during a deploy.

    Args:
        composed: the services.
        context: what the app's image is built from.
        sources: the repository's Python files: one of them may start the server.
    """
    return tuple(_processes(composed, context, starting_modules(sources)))


def composed_healthchecks(composed: Composed, context: Path) -> str:
    """Return the commands that check the health of services in the app's image, one a line."""
    checks = (service.get("healthcheck") for _, service in composed.of_image(context))
    tests = (check.get("test") for check in checks if isinstance(check, dict))
    return "\n".join(test if isinstance(test, str) else " ".join(map(str, test or ())) for test in tests)


def _services(content: str) -> dict[str, dict[str, Any]]:
    try:
        services = (yaml.safe_load(content) or {}).get("services")
    except (yaml.YAMLError, AttributeError):
        return {}
    named = services.items() if isinstance(services, dict) else ()
    return {str(name): service for name, service in named if isinstance(service, dict)}


def _processes(composed: Composed, context: Path, starting: list[str]) -> Iterator[Process]:
    services = dict(composed.of_image(context))
    commands = {key: _command(service.get("command")) for key, service in services.items()}
    serving = {key for key, service in services.items() if _serves(service, commands[key], starting)}
    # A profile that such a service has is no extra that people start by hand.
    usual = {str(profile) for key in serving for profile in _list(services[key].get("profiles"))}
    neighbours = re.compile(rf"[/@]({'|'.join(map(re.escape, composed.services))})[:/]")
    for key, service in services.items():
        name = re.sub(r"\W", "_", key)
        is_extra = not usual.issuperset(map(str, _list(service.get("profiles"))))
        # Only Compose knows the value of a variable and the address of a neighbour.
        is_known = "$" not in commands[key] and not neighbours.search(commands[key])
        if (
            name not in RESERVED
            and key not in serving
            and is_known
            and not is_extra
            and not OTHERS.search(commands[key])
        ):
            yield Process(name, f"exec {commands[key].removeprefix('exec ')}", is_single=True)


def _serves(service: dict[str, Any], command: str, starting: list[str]) -> bool:
    """Tell whether a service is the web server: by the image's own command, a server's name, a port, or a file."""
    words = [word.removeprefix("./") for word in command.split()]
    by_file = any(f".{module}".endswith(f".{word}") for word in words for module in starting)
    return not command or SERVERS.search(command) is not None or bool(service.get("ports")) or by_file


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _command(value: object) -> str:
    """Return a command as a shell's line; Compose splits a text into words, and starts no shell."""
    try:
        return shlex.join(shlex.split(value) if isinstance(value, str) else [str(word) for word in value or ()])  # type: ignore[attr-defined]
    except (ValueError, TypeError):
        return ""
