"""The server that runs the app, and the command that starts it on a handed socket or on $PORT."""

import re
from enum import StrEnum

from slipway.controller.init.groups import SERVERS
from slipway.controller.init.packages import Packages


class Server(StrEnum):
    """A server for ASGI apps."""

    UVICORN = "uvicorn"
    GUNICORN = "gunicorn"
    HYPERCORN = "hypercorn"
    GRANIAN = "granian"


def find_server(packages: Packages, commands: str = "") -> Server | None:
    """Return the server in use, None if no package brings one.

    Args:
        packages: what the app requires.
        commands: the text of a Procfile, Dockerfile and Compose file, which decides between several servers.
    """
    installed = [Server(name) for name, brought_by in SERVERS.items() if packages.has(*brought_by)]
    started = [server for server in installed if re.search(rf"\b{server}\b", commands)]
    return next(iter(started or installed), None)


def command(server: Server, target: str, packages: Packages, *, is_factory: bool) -> str:
    """Return the shell command that starts the server.

    `exec` lets SIGTERM reach the server, and keeps the process id that LISTEN_PID names.

    Args:
        server: the server.
        target: the app, `shop.main:app`.
        packages: what the app requires: gunicorn's worker is one of two.
        is_factory: the target is a function that returns the app.
    """
    if server is Server.GUNICORN:
        worker = "uvicorn_worker" if packages.has("uvicorn-worker") else "uvicorn.workers"
        called = f"'{target}()'" if is_factory else target
        return f"exec gunicorn --worker-class {worker}.UvicornWorker --bind 0.0.0.0:${{PORT:-8000}} {called}"
    if server is Server.HYPERCORN:
        called = f"'{target}()'" if is_factory else target
        return f'bind=${{LISTEN_FDS:+fd://3}}; exec hypercorn --bind "${{bind:-0.0.0.0:${{PORT:-8000}}}}" {called}'
    factory = "--factory " if is_factory else ""
    if server is Server.GRANIAN:  # takes no handed socket
        return f"exec granian --interface asgi --host 0.0.0.0 --port ${{PORT:-8000}} {factory}{target}"
    return f"exec uvicorn {factory}{target} ${{LISTEN_FDS:+--fd 3}} --host 0.0.0.0 --port ${{PORT:-8000}}"
