"""The app with a fault that its health checks do not show: GET of a link answers 500."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from app.main import app as good

Message = MutableMapping[str, Any]
WORKING_PATHS = {"/readyz", "/livez", "/version", "/slow", "/links"}


async def app(
    scope: MutableMapping[str, Any],
    receive: Callable[[], Awaitable[Message]],
    send: Callable[[Message], Awaitable[None]],
) -> None:
    """Answer 500 to GET of a link, and pass everything else to the app."""
    if scope["type"] == "http" and scope["method"] == "GET" and scope["path"] not in WORKING_PATHS:
        await send({"type": "http.response.start", "status": 500, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})
        return
    await good(scope, receive, send)
