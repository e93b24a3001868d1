"""The route of an answer, for metrics: its template, so that the number of routes is that of the app's."""

import asyncio
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app import main, problems, route
from app.headers import HeadersMiddleware

app = FastAPI()
app.add_middleware(HeadersMiddleware, of=route.header)
problems.install(app)


@app.get("/mistake/{number}")
def mistake(number: int) -> None:
    raise ZeroDivisionError(number)


def told(app: FastAPI, method: str, path: str) -> Any:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.request(method, path)

    return asyncio.run(ask()).headers.get(route.HEADER)


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/livez", "/livez"),
        ("HEAD", "/livez", "/livez"),
        ("PUT", "/livez", "/livez"),
        ("POST", "/links", "/links"),
        ("GET", "/6BDm6zMZ", "/{slug}"),
        ("GET", "/of/nobody", None),
    ],
)
def test_each_answer_has_the_route_that_made_it(method: str, path: str, expected: str | None) -> None:
    assert told(main.app, method, path) == expected


def test_it_is_the_template() -> None:
    assert told(app, "GET", "/mistake/wrong") == "/mistake/{number}"


def test_a_mistake_has_its_route() -> None:
    assert told(app, "GET", "/mistake/1") == "/mistake/{number}"
