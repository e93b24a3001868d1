"""The app with a mistake that its own checks do not show: whoever follows a link gets 500."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from app.main import app as good

Message = MutableMapping[str, Any]
FINE = {"/readyz", "/livez", "/version", "/slow", "/links"}


async def app(
    scope: MutableMapping[str, Any],
    receive: Callable[[], Awaitable[Message]],
    send: Callable[[Message], Awaitable[None]],
) -> None:
    """Answer as the app does, but for the links."""
    if scope["type"] == "http" and scope["method"] == "GET" and scope["path"] not in FINE:
        await send({"type": "http.response.start", "status": 500, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})
        return
    await good(scope, receive, send)
