"""Requests that last: a slow answer, a WebSocket and an event stream.

They show what a cutover does to each: an answer is finished, a WebSocket is closed with 1012 ("service restart", the
server does it), an event stream ends; the client of either connects again and meets the new release.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, cast

from fastapi import APIRouter, Query, Request, WebSocket, WebSocketDisconnect
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel

from app.dependencies import FromInside
from app.problems import documented
from app.settings import Settings
from app.shutdown import Shutdown

router = APIRouter(tags=["streams"])

TICK = 0.2
"""Seconds between two events."""


class Slept(BaseModel):
    """The answer of /slow."""

    seconds: float


class Tick(BaseModel):
    """The data of one event."""

    n: int
    release: str
    """Empty for clients from the internet (see /version)."""


@router.get("/slow", responses=documented(422))
async def slow(seconds: Annotated[float, Query(ge=0, le=10)] = 1) -> Slept:
    """Answer after some seconds. Waiting costs the worker nothing: it serves others meanwhile."""
    await asyncio.sleep(seconds)
    return Slept(seconds=seconds)


@router.get("/events", response_class=EventSourceResponse, responses=documented(422))
async def events(
    request: Request, inside: FromInside, count: Annotated[int, Query(ge=1, le=3000)] = 50
) -> AsyncIterator[ServerSentEvent]:
    """Stream `count` ticks, five a second, or fewer if the server stops."""
    settings = cast(Settings, request.state.settings)
    shutdown = cast(Shutdown, request.state.shutdown)
    release = settings.slipway_release if inside else ""
    for n in range(count):
        yield ServerSentEvent(event="tick", id=str(n), data=Tick(n=n, release=release))
        if await shutdown.within(TICK):
            return


@router.websocket("/ws")
async def echo(socket: WebSocket) -> None:
    """Send back every text that comes in."""
    await socket.accept()
    try:
        while True:
            await socket.send_text(await socket.receive_text())
    except WebSocketDisconnect:
        pass
