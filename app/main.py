"""The application: its parts, and what a worker does when it starts and stops."""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypedDict

from fastapi import FastAPI

from app import content_policy, days, health, links, problems, qr, request_id, route, schema, streams, tracing
from app.database import Database
from app.head import HeadMiddleware
from app.headers import HeadersMiddleware
from app.queue import Queue
from app.settings import Settings
from app.shutdown import Shutdown


class State(TypedDict):
    """What every request finds in `request.state`. One per worker: nothing here is shared between workers."""

    settings: Settings
    database: Database
    queue: Queue
    shutdown: Shutdown


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[State]:
    """Open what a worker needs, after the fork and on its own event loop, and close it again."""
    settings = Settings.load()
    database = Database(settings)
    shutdown = Shutdown()
    try:
        # The embedded database belongs to this app alone, so `docker run` and a fresh checkout just work. Postgres is
        # shared: it is migrated by the release phase, once, and never by whichever worker happens to start first.
        if settings.embedded and schema.behind(await database.revision()):
            await _migrate()
        tracing.start(database, settings.slipway_release)
        with shutdown.watching():
            yield {"settings": settings, "database": database, "queue": Queue(settings), "shutdown": shutdown}
    finally:
        await database.close()
        tracing.stop()


async def _migrate() -> None:
    # A process of its own, so that no worker keeps Alembic's memory. It holds a lock: workers that start together wait.
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "app.migrate")
    if await process.wait():
        raise RuntimeError("the embedded database could not be migrated: the lines above say why")


def create_app() -> FastAPI:
    """Put the service together. Opens nothing: the import of this module happens before the workers are forked."""
    logging.basicConfig(level=logging.INFO)  # no effect under server/, which has set up JSON by now
    request_id.mark_log_records()
    app = FastAPI(
        title="Links",
        version="1",
        lifespan=lifespan,
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
        telemetry={"auto_configure": False, "operation_spans": False},  # app.tracing does; one span per request
    )
    content_policy.install(app)
    app.add_middleware(HeadersMiddleware, of=route.header)
    app.add_middleware(HeadMiddleware)
    app.add_middleware(request_id.RequestIdMiddleware)
    problems.install(app)
    for module in (health, streams, links, qr, days):
        app.include_router(module.router)
    return app


app = create_app()
