"""What Compose files say of the app: its Dockerfile, its other processes, the path that tells whether it is healthy."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from slipway.controller.init import text
from slipway.controller.init.application import SERVERS, starting_modules
from slipway.controller.init.compose_commands import command_of, executed
from slipway.controller.init.compose_files import Services, context_of, read_services
from slipway.controller.init.dockerfile import Instructions
from slipway.controller.init.existing import Dockerfile, is_pythons
from slipway.controller.init.groups import DEVELOPMENT
from slipway.controller.init.queues import RQ_URL, Process
from slipway.controller.init.sources import Sources

RESERVED = {"env", "run", "process", "jobs", "web", "release"}
OTHERS = re.compile(
    r"\b(uvicorn|gunicorn|hypercorn|granian|fastapi|runserver|streamlit|flower|alembic|migrat\w*|upgrade|prestart|init_db"
    r"|initial_data|pytest|watchfiles|watchmedo|npm|tail|sleep|bash)\b"
)
"""Commands that serve, migrate, test or are for development."""
WORKS = re.compile(r"\b(celery|rq|rqworker|arq|saq|dramatiq|taskiq|huey_consumer\w*|procrastinate)\b")
"""Programs that run tasks, and have no port."""


@dataclass(frozen=True)
class Composed:
    """The services of a repository's Compose files."""

    services: Services

    @classmethod
    def read(cls, folder: Path, places: Iterable[PurePosixPath]) -> "Composed":
        """Read the Compose files in the first of some folders that has any."""
        return cls(read_services(folder, places))

    def dockerfiles(self, folder: Path, app: PurePosixPath) -> list[Dockerfile]:
        """Return the Dockerfiles that are built in a folder with the app, each once."""
        found: list[Dockerfile] = []
        for service in sorted(self.services.values(), key=_is_beside):
            context, path = context_of(service), _dockerfile(service)
            if not context or not path or not path.is_file() or not (folder / app).is_relative_to(context):
                continue
            if path.is_relative_to(folder) and context.is_relative_to(folder) and is_pythons(text.read(path)):
                found.append(
                    Dockerfile(PurePosixPath(path.relative_to(folder)), PurePosixPath(context.relative_to(folder)))
                )
        return list(dict.fromkeys(found))

    def stage(self, recipe: Path) -> str:
        """Return the stage of a Dockerfile that is built for production, if it is not the last; empty otherwise."""
        builds = [service["build"] for service in self.services.values() if _dockerfile(service) == recipe.resolve()]
        targets = {str(build["target"]) for build in builds if build.get("target")}
        stages = [stage.name for stage in Instructions.parse(text.read(recipe)).stages]
        built = [stage for stage in stages if stage and stage in targets and not DEVELOPMENT.search(stage)]
        return built[-1] if built and stages[-1] not in built else ""

    def environment(self, context: Path, recipe: Path | None) -> dict[str, str]:
        """Return what the services in the app's image get as environment, without what another setting decides."""
        given: dict[str, str] = {}
        for _, service in self.of_image(context, recipe):
            listed = service.get("environment")
            pairs = (
                listed.items()
                if isinstance(listed, dict)
                else (str(each).partition("=")[::2] for each in _list(listed))
            )
            given |= {
                str(name): str(value) for name, value in pairs if value not in {None, ""} and "$" not in str(value)
            }
        return given

    def of_image(self, context: Path, recipe: Path | None) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the services that run in an image built in a folder, and by a Dockerfile if one is named."""
        built = [
            service
            for service in self.services.values()
            if context_of(service) == context.resolve() and (not recipe or _dockerfile(service) == recipe.resolve())
        ]
        images = {str(service["image"]) for service in built if service.get("image")}
        for name, service in self.services.items():
            if service in built or str(service.get("image")) in images:
                yield name, service


def _is_beside(service: dict[str, Any]) -> bool:
    """Tell whether a service is less likely the web server: workers and a UI may have Dockerfiles as well."""
    path = _dockerfile(service)
    started = (text.read(path) if path else "") + command_of(service)
    return not SERVERS.search(started) or WORKS.search(command_of(service)) is not None


def _dockerfile(service: dict[str, Any]) -> Path | None:
    context = context_of(service)
    return (context / str(service["build"].get("dockerfile", "Dockerfile"))).resolve() if context else None


def composed_processes(
    composed: Composed, context: Path, recipe: Path | None, sources: Sources, entrypoint: str = ""
) -> tuple[Process, ...]:
    """Return a process for each service that runs a command of its own in the app's image, none if no file can be read.

    Each is single: Compose runs one of it, and two releases run during a deploy.

    Args:
        composed: the services.
        context: what the app's image is built from.
        recipe: its Dockerfile, if somebody wrote one.
        sources: the repository's Python files: one of them may start the server.
        entrypoint: the image's ENTRYPOINT, whose arguments a command of Compose is.
    """
    program = re.fullmatch(r'\["(python3?|poetry|uv|pdm|pipenv)"(?:, *"(run)")?\]', entrypoint)
    prefix = [word for word in program.groups() if word] if program else []
    return tuple(_processes(composed, dict(composed.of_image(context, recipe)), starting_modules(sources), prefix))


def composed_healthchecks(composed: Composed, context: Path, recipe: Path | None) -> str:
    """Return the commands that check the health of services in the app's image, one a line."""
    checks = (service.get("healthcheck") for _, service in composed.of_image(context, recipe))
    tests = (check.get("test") for check in checks if isinstance(check, dict))
    return "\n".join(test if isinstance(test, str) else " ".join(map(str, test or ())) for test in tests)


def _processes(composed: Composed, services: Services, starting: list[str], prefix: list[str]) -> Iterator[Process]:
    neighbours = "|".join(map(re.escape, composed.services))
    options = re.compile(rf"\s(-u|--url|-b|--broker)[ =]\S*://\S*\b({neighbours})[:/]\S*")
    commands = {key: options.sub("", command_of(_prefixed(service, prefix))) for key, service in services.items()}
    serving = {key for key, service in services.items() if _serves(service, commands[key], starting)}
    # A profile that such a service has is no extra that people start by hand.
    usual = {str(profile) for key in serving for profile in _list(services[key].get("profiles"))}
    for key, service in services.items():
        name = re.sub(r"\W", "_", key)
        is_extra = not usual.issuperset(map(str, _list(service.get("profiles"))))
        # Only Compose knows the value of a variable and the address of a neighbour.
        is_known = "$" not in commands[key] and not re.search(rf"[/@]({neighbours})[:/]", commands[key])
        if (
            name not in RESERVED
            and key not in serving
            and is_known
            and not is_extra
            and not OTHERS.search(commands[key])
        ):
            data = (RQ_URL,) if commands[key].startswith("rq") else ()
            yield Process(name, executed(commands[key]), is_single=True, data=data)


def _serves(service: dict[str, Any], command: str, starting: list[str]) -> bool:
    """Tell whether a service is the web server: by the image's own command, a server's name, a port, or a file."""
    words = [word.removeprefix("./") for word in command.split()]
    by_file = any(f".{module}".endswith(f".{word}") for word in words for module in starting)
    has_port = bool(service.get("ports")) and not WORKS.search(command)  # a port that it has from what it extends
    return not command or SERVERS.search(command) is not None or has_port or by_file


def _prefixed(service: dict[str, Any], prefix: list[str]) -> dict[str, Any]:
    is_argument = prefix and service.get("command") and not service.get("entrypoint")
    return service | {"entrypoint": prefix} if is_argument else service


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
