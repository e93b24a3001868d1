"""HEAD wherever there is GET (RFC 9110): the same headers, no body."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HeadMiddleware:
    """Answers HEAD as GET, which FastAPI's routes do not. The server itself sends no body for HEAD.

    A stream is over after its headers: the app is told that the client has left.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or WebSocket."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            return await self.app(scope, receive, send)
        ended = False

        async def answer(message: Message) -> None:
            nonlocal ended
            if message["type"] != "http.response.body":
                await send(message)
            elif not ended:
                ended = True
                # After this the server's `receive` says http.disconnect.
                await send({"type": "http.response.body", "body": b""})

        return await self.app({**scope, "method": "GET"}, receive, answer)
