"""What a deploy, a balancer and a person ask the service about itself."""

import os
from typing import cast

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel
from sqlalchemy.exc import SQLAlchemyError

from app import schema
from app.database import Pool
from app.dependencies import FromInside, WorkerDatabase
from app.problems import documented, problem
from app.settings import Settings

router = APIRouter(tags=["health"])


class Health(BaseModel):
    """A service that is well."""

    status: str = "ok"


class Ready(Health):
    """A service that can serve, and how busy the database connections of the worker that answered are."""

    pool: Pool | None = None


class Version(BaseModel):
    """Which code answered, and which process. Empty for clients from the internet."""

    release: str | None = None
    commit: str | None = None
    image: str | None = None
    pid: int | None = None
    workers: int | None = None


@router.get("/livez")
async def livez() -> Health:
    """Answer as long as the event loop runs. Asks nothing else: a database outage is no reason to restart the app."""
    return Health()


@router.get("/readyz", response_model=Ready, response_model_exclude_none=True, responses=documented(503))
async def readyz(database: WorkerDatabase, inside: FromInside) -> Ready | Response:
    """Answer 200 if requests can be served: the database answers, and has this release's tables.

    Clients from the internet get the status and no details.

    The broker is not probed. Links are made and followed without it, and a task waits in the database until it is back.
    """
    try:
        revision = await database.revision()
    except (SQLAlchemyError, OSError) as error:
        cause = getattr(error, "orig", None) or error  # without the statement and its values
        return problem(503, f"The database does not answer: {type(cause).__name__}: {cause}" if inside else None)
    if schema.behind(revision):
        at = f"at migration {revision}" if revision else "empty"
        told = f"The database is {at}, this release needs {schema.HEAD}: run `python -m app.migrate`."
        return problem(503, told if inside else None)
    return Ready(pool=database.use() if inside else None)


@router.get("/version", response_model_exclude_none=True)
async def version(request: Request, inside: FromInside) -> Version:
    """Tell the release and the worker that answers, but not clients from the internet."""
    if not inside:
        return Version()
    settings = cast(Settings, request.state.settings)
    return Version(
        release=settings.slipway_release,
        commit=settings.slipway_commit,
        image=settings.slipway_image,
        pid=os.getpid(),
        workers=settings.web_concurrency,
    )
