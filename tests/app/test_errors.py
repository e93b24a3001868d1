"""Failures of the app itself, provoked in an app of the tests' own with the same parts."""

import asyncio
import errno
import json
import logging
import sqlite3
from contextlib import closing

import asyncpg  # type: ignore[import-untyped]
import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.exc import OperationalError

from app import problems, request_id
from server.logs import JsonFormatter

app = FastAPI()
app.add_middleware(request_id.RequestIdMiddleware)
problems.install(app)


@app.get("/mistake")
def mistake() -> None:
    raise ZeroDivisionError("secret detail")


@app.get("/outage")
def outage() -> None:
    raise OperationalError("SELECT secret", {}, OSError("gone"))


@app.get("/full/{database}")
def full(database: str) -> None:
    if database == "sqlite":
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.execute("PRAGMA max_page_count = 1")
            try:
                connection.execute("CREATE TABLE secret (id)")
            except sqlite3.Error as error:
                raise OperationalError("INSERT secret", {}, error) from error
    if database == "postgres":
        raise OperationalError("INSERT secret", {}, asyncpg.exceptions.DiskFullError("could not extend file"))
    raise OSError(errno.ENOSPC, "No space left on device")


def get(path: str) -> httpx.Response:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.get(path, headers={"X-Request-ID": "id-1"})

    return asyncio.run(ask())


def test_a_mistake_is_a_problem_that_tells_nothing() -> None:
    answer = get("/mistake")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"] == "id-1"
    assert "secret" not in answer.text


def test_an_outage_of_the_database_is_503() -> None:
    answer = get("/outage")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert "secret" not in answer.text


@pytest.mark.parametrize("where", ["sqlite", "postgres", "files"])
def test_a_full_disk_is_told_as_such(where: str) -> None:
    answer = get(f"/full/{where}")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")
    assert "disk is full" in answer.json()["detail"]


def test_a_log_record_is_one_json_line_with_the_request_id() -> None:
    request_id.mark_log_records()
    token = request_id.current.set("id-2")
    try:
        record = logging.getLogger("x").makeRecord(
            "x", logging.INFO, "f", 1, "two\nlines %s", ("é",), None, extra={"a": 1}
        )
    finally:
        request_id.current.reset(token)
    line = JsonFormatter().format(record)
    assert "\n" not in line
    read = json.loads(line)
    assert (read["message"], read["request_id"], read["a"], read["level"]) == ("two\nlines é", "id-2", 1, "INFO")
