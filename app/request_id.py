"""One id per request, in every log line and in the answer.

nginx makes it and logs it, so a line of its access log leads to the app's lines. Without nginx the app makes its own.
"""

import logging
import re
import uuid
from contextvars import ContextVar
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import tracing

HEADER = "X-Request-ID"
VALID = re.compile(r"[A-Za-z0-9-]{1,64}")
current: ContextVar[str | None] = ContextVar("request_id", default=None)


class RequestIdMiddleware:
    """Takes the id from the request, or makes one, and returns it.

    Plain ASGI: Starlette's BaseHTTPMiddleware runs the app in another task, which loses context variables and delays
    the end of streams.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or WebSocket."""
        if scope["type"] not in {"http", "websocket"}:
            return await self.app(scope, receive, send)
        given = Headers(scope=scope).get(HEADER, "")
        # Anything else could forge log lines, or make them endless.
        value = given if VALID.fullmatch(given) else uuid.uuid4().hex
        current.set(value)
        tracing.mark(value)

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(header())
            await send(message)

        # Not reset afterwards: the server runs each request in a context of its own, and logs its failure in it.
        return await self.app(scope, receive, answer)


def header() -> dict[str, str]:
    """Give the header that carries the current request's id; empty outside a request."""
    value = current.get()
    return {HEADER: value} if value else {}


def mark_log_records() -> None:
    """Put `request_id` on every log record that is made while a request is served, by any logger; and `trace_id`."""
    make = logging.getLogRecordFactory()
    if getattr(make, "marks_request_id", False):
        return

    def record(*args: Any, **kwargs: Any) -> logging.LogRecord:
        made = make(*args, **kwargs)
        if value := current.get():
            made.request_id = value
        if value := tracing.current.get():
            made.trace_id = value
        return made

    record.marks_request_id = True  # type: ignore[attr-defined]  # so that a second app in one process adds nothing
    logging.setLogRecordFactory(record)
