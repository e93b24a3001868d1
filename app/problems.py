"""Every error as RFC 9457 problem details (`application/problem+json`)."""

import errno
import logging
import sqlite3
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException

from app import request_id, route

log = logging.getLogger(__name__)
DISK_FULL = "53100"
"""PostgreSQL's error code (SQLSTATE)."""
MEDIA_TYPE = "application/problem+json"


class Problem(BaseModel):
    """RFC 9457, section 3.1. `type` is about:blank throughout: the status says what kind of problem it is."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str | None = None
    errors: list[str] = Field(default=[], description="each wrong input, by its place")


def documented(*codes: int) -> dict[int | str, dict[str, Any]]:
    """Describe these statuses in OpenAPI as problems."""
    content = {MEDIA_TYPE: {"schema": Problem.model_json_schema()}}
    return {code: {"description": HTTPStatus(code).phrase, "content": content} for code in codes}


def problem(
    code: int, detail: str | None = None, errors: list[str] | None = None, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """Make the answer for a status (an HTTP code), with what a person needs to put it right."""
    body = Problem(title=HTTPStatus(code).phrase, status=code, detail=detail, errors=errors or [])
    return JSONResponse(body.model_dump(exclude_defaults=True) | {"type": body.type}, code, headers, MEDIA_TYPE)


def _disk_is_full(error: Exception) -> bool:
    """Whether SQLite, PostgreSQL or the system itself had no room to write."""
    cause: BaseException | None = error
    while cause is not None:
        if getattr(cause, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
            return True
        if getattr(cause, "sqlstate", None) == DISK_FULL or getattr(cause, "errno", None) == errno.ENOSPC:
            return True
        cause = getattr(cause, "orig", None) or cause.__cause__
    return False


def install(app: FastAPI) -> None:
    """Let every error that leaves `app` be a problem."""

    @app.exception_handler(HTTPException)
    async def http(_: Request, error: HTTPException) -> JSONResponse:
        phrase = HTTPStatus(error.status_code).phrase
        return problem(error.status_code, error.detail if error.detail != phrase else None, headers=error.headers)

    @app.exception_handler(RequestValidationError)
    async def validation(_: Request, error: RequestValidationError) -> JSONResponse:
        errors = [f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in error.errors()]
        return problem(422, "The request has values that are not valid.", errors)

    @app.exception_handler(OSError)
    @app.exception_handler(PoolTimeoutError)
    @app.exception_handler(DBAPIError)
    async def database(_: Request, error: Exception) -> JSONResponse:
        if isinstance(error, IntegrityError):  # the app's own mistake, not an outage
            raise error
        if _disk_is_full(error):
            log.error("the disk is full", exc_info=error)
            return problem(503, "The server's disk is full: nothing can be saved now.", headers={"Retry-After": "60"})
        log.error("the database did not answer", exc_info=error)
        return problem(503, "The database did not answer in time.", headers={"Retry-After": "1"})

    @app.exception_handler(Exception)
    async def unexpected(request: Request, _: Exception) -> JSONResponse:
        # The server logs the traceback. This answer is made outside the middleware, so it adds their headers itself.
        headers = request_id.header() | route.header(request.scope)
        return problem(500, "The server made a mistake; its log has it.", headers=headers)
