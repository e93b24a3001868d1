"""The worker: uvicorn, run by gunicorn."""

import asyncio
import logging
import os
import socket
import sys
from typing import Any, cast

# What uvicorn would load in each worker. gunicorn loads this module before it forks, so the workers share it.
import uvicorn.lifespan.on
import uvicorn.loops.uvloop
import uvicorn.protocols.websockets.websockets_sansio_impl
from gunicorn.arbiter import Arbiter
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn_worker import UvicornWorker

from server import draining
from server.transport import Gathered

LAST_SECONDS = 1
"""Left, of the graceful timeout, for the app to close what it opened once overlong requests were cancelled."""

ARRIVAL_SECONDS = 0.1
"""How long the request of a connection that was taken may be on its way."""


class Server(uvicorn.Server):
    """uvicorn's, which hangs up on nobody whom it let in."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain; then take no more connections, and answer what those have sent that were taken.

        uvicorn closes at once those of which it has read nothing. nginx has sent its request by then, and may not send
        a POST again.
        """
        Protocol.drains = True
        await asyncio.sleep(draining.seconds(os.environ))
        for listener in self.servers:
            listener.close()
        await asyncio.sleep(ARRIVAL_SECONDS)
        await super().shutdown(sockets)


class Protocol(HttpToolsProtocol):
    """uvicorn's, whose answers are not torn when the worker dies, and which says when it closes a connection."""

    drains = False
    """Whether this process stops: each response is the last one of its connection."""

    def on_headers_complete(self) -> None:
        """Begin a request."""
        super().on_headers_complete()
        if self.drains and self.cycle:
            self.cycle.keep_alive = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin a connection."""
        super().connection_made(cast(Any, Gathered(cast(asyncio.Transport, transport), self.loop)))


class Worker(UvicornWorker):
    """uvicorn-worker's, with gunicorn's settings that it does not pass on."""

    CONFIG_KWARGS = {  # noqa: RUF012 -- the base class's own form
        "loop": "uvloop",
        "http": Protocol,
        "ws": "websockets-sansio",
        "lifespan": "on",  # an app that cannot start stops the server, instead of serving half
        "server_header": False,
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if (
            self.cfg.accesslog is None
        ):  # nginx has the access log; `GUNICORN_CMD_ARGS=--access-logfile=-` adds the app's
            logging.getLogger("uvicorn.access").handlers = []
        left = self.cfg.graceful_timeout - LAST_SECONDS - draining.seconds(os.environ)
        self.config.timeout_graceful_shutdown = max(1, left)

    async def _serve(self) -> None:
        # uvicorn-worker's, with the server above.
        self.config.app = self.wsgi
        server = Server(config=self.config)
        self._install_sigquit_handler()
        await server.serve(sockets=self.sockets)
        if not server.started:
            sys.exit(Arbiter.WORKER_BOOT_ERROR)
