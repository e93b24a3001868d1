"""The worker: uvicorn, run by gunicorn."""

import logging
from typing import Any

# What uvicorn would load in each worker. gunicorn loads this module before it forks, so the workers share it.
import uvicorn.lifespan.on
import uvicorn.loops.uvloop
import uvicorn.protocols.http.httptools_impl
import uvicorn.protocols.websockets.websockets_sansio_impl  # noqa: F401
from uvicorn_worker import UvicornWorker

LAST_SECONDS = 1
"""Left, of the graceful timeout, for the app to close what it opened once overlong requests were cancelled."""


class Worker(UvicornWorker):
    """uvicorn-worker's, with gunicorn's settings that it does not pass on."""

    CONFIG_KWARGS = {  # noqa: RUF012 -- the base class's own form
        "loop": "uvloop",
        "http": "httptools",
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
        self.config.timeout_graceful_shutdown = max(1, self.cfg.graceful_timeout - LAST_SECONDS)
