"""The command that starts the server of somebody's image, where the image's own does not on a host."""

import configparser
import json
import os
import re
import shlex
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from slipway.controller.init import text
from slipway.controller.init.compose_commands import command_of, executed
from slipway.controller.init.dockerfile import Instructions
from slipway.controller.init.queues import Process
from slipway.controller.init.sources import SKIPPED

SERVES = re.compile(r"(^|[\s/;&\"'])(uvicorn|gunicorn|hypercorn|granian|daphne|fastapi (run|dev))\b")
WATCHES = re.compile(r"\s--reload(?![\w-])|\bfastapi dev\b")
WATCHING = re.compile(r"\s--reload(-(dir|include|exclude|delay)[= ]\S+)?(?![\w-])")
"""Options of a server that watches the code."""
WAITS = re.compile(r"\b(nc|pg_isready|dockerize|redis-cli|mysqladmin|psql)\b|wait[-_]?for|/dev/tcp/")
"""Programs by which a script waits until a service of Compose answers."""
BACKGROUND = re.compile(
    r"^(?!\s*#).*\b(celery|rq|arq|saq|dramatiq|taskiq|huey_consumer(\.py)?|procrastinate)\b.*[^&]&\s*$", re.MULTILINE
)
"""A worker that a script starts beside the server: on a host a process of its own."""
VARIABLE = re.compile(r"\$\{?(?!PORT\b|\w+:?[-+])[A-Za-z_@]")
"""In a line that needs what a script computes."""
BESIDE = ("nginx", "redis", "postgres", "cron", "caddy")
"""Programs of a supervisord that Slipway's host has."""


@dataclass(frozen=True)
class Start:
    """How an image's server is started, and what else its supervisord starts."""

    command: str = ""
    """For app_command; empty if the image's own command does."""
    reason: str = ""
    """Why the image's own command does not."""
    processes: tuple[Process, ...] = ()


def find_start(
    context: Path, instructions: Instructions, stage: str, neighbours: Collection[str], otherwise: str
) -> Start:
    """Look at the command of an image, and at the scripts that it names.

    Args:
        context: the folder that the image is built in.
        instructions: its Dockerfile.
        stage: its stage, the last one if empty.
        neighbours: the names of Compose's services, which no host knows.
        otherwise: the command for a server whose own is not found.
    """
    if instructions.starts_nothing(stage):
        return Start(otherwise, "it has no CMD and no ENTRYPOINT")
    entrypoint, cmd = (_words(each) for each in instructions.started(stage))
    line = command_of({"entrypoint": entrypoint, "command": cmd})
    if "supervisord" in line:
        return _supervised(context, otherwise)
    scripts = "\n".join(text.read(script) for script in _named(context, line))
    everything = re.sub(r"\s*\\\n\s*", " ", f"{line}\n{scripts}\n{command_of({'command': cmd})}")
    waits = next(
        (name for name in neighbours if WAITS.search(scripts) and re.search(rf"(?<![\w-]){name}(?![\w-])", scripts)), ""
    )
    reasons = {
        f"it waits for {waits}, which is a service of Compose": bool(waits),
        "it watches the code, for development": WATCHES.search(everything),
        "it starts a worker as well, which is a process of its own on a host": BACKGROUND.search(scripts),
    }
    reason = next((reason for reason, is_so in reasons.items() if is_so), "")
    return Start(_server(everything) or otherwise, reason) if reason else Start()


def _words(arguments: str) -> list[str]:
    """Return the words of CMD or ENTRYPOINT, which a shell runs unless it is a list."""
    try:
        words = json.loads(arguments)
    except ValueError:
        words = ["/bin/sh", "-c", arguments] if arguments else []
    return [str(word) for word in words] if isinstance(words, list) else []


def _named(context: Path, line: str) -> Iterator[Path]:
    """Yield the scripts of the context that a command names, wherever the image has them."""
    names = {PurePosixPath(word.strip("\"'")).name for word in line.split() if re.search(r"[\w-](\.sh)?$", word)}
    for where, folders, files in os.walk(context):
        folders[:] = sorted(name for name in folders if name not in SKIPPED and not name.startswith("."))
        for name in sorted(names.intersection(files)):
            if name.endswith(".sh") or text.read(Path(where, name)).startswith("#!"):
                yield Path(where, name)


def _server(lines: str) -> str:
    """Return the last line that starts a server, in the folder and with the variables that lines before set."""
    before: list[str] = []
    found = ""
    for line in (line.strip() for line in lines.splitlines()):
        if re.match(r"(cd|export) [^;&|]+$", line) and not found:
            before.append(line)
        elif SERVES.search(line) and not line.startswith(("#", "echo")):
            last = re.split(r"&&|;", line.rstrip("; "))[-1].strip(" &")
            found = "" if VARIABLE.search(last) or not SERVES.search(last) else last
    found = WATCHING.sub("", found).replace("fastapi dev", "fastapi run")
    return executed(" && ".join([*before, found])) if found and not VARIABLE.search(" ".join(before)) else ""


def _supervised(context: Path, otherwise: str) -> Start:
    """Return the programs of a supervisord: Slipway's host has an nginx, and starts each program itself."""
    server, processes, served = "", [], ""
    for name, program in _programs(context):
        place = program.get("directory", "")
        command = re.sub(r"%\(ENV_(\w+)\)s", r"$\1", " ".join(program.get("command", "").split()))
        line = f"cd {shlex.quote(place)} && {command}" if place else command
        served = served or next((each for each in ("nginx", "caddy") if each in command), "")
        if SERVES.search(command) and not server:
            server = executed(WATCHING.sub("", line))
        elif command and not SERVES.search(command) and not any(each in command for each in BESIDE):
            processes.append(Process(re.sub(r"\W", "_", name), executed(line), is_single=True))
    beside = f", but {served}: files that {served} serves have to come from the app" if served else ""
    reason = f"its supervisord needs root, and Slipway starts each program{beside}"
    return Start(server or otherwise, reason, tuple(processes))


def _programs(context: Path) -> Iterator[tuple[str, dict[str, str]]]:
    for pattern in ("*supervisor*", "*/*supervisor*", "*/supervisor*/*", "*/*/*supervisor*"):
        for path in sorted(context.glob(pattern)):
            config = configparser.ConfigParser(interpolation=None, strict=False, inline_comment_prefixes=(";",))
            try:
                config.read_string(text.read(path) if path.suffix in {".conf", ".ini"} else "")
            except configparser.Error:
                continue
            for section in config.sections():
                kind, _, name = section.partition(":")
                if kind in {"program", "fcgi-program"}:
                    yield name, dict(config[section])
