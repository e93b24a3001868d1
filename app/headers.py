"""Headers that the app adds to its responses."""

from collections.abc import Callable, Mapping

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HeadersMiddleware:
    """Adds to each response the headers that `of` gives for the request, unless it has them.

    Plain ASGI, as in request_id.py.
    """

    def __init__(self, app: ASGIApp, of: Callable[[Scope], Mapping[str, str]]) -> None:
        self.app, self.of = app, of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or WebSocket."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self.of(scope).items():
                    headers.setdefault(name, value)
            await send(message)

        return await self.app(scope, receive, answer)
