"""A transport that sends what one step of the event loop wrote by one system call."""

import asyncio
from typing import Any

MOST = 1 << 16
"""Bytes that are gathered at most, so that an endless writer notices that the client is slow."""


class Gathered:
    """uvicorn writes the head of an answer and then its body, and uvloop sends each at once.

    A worker that dies between the two leaves nginx with half an answer, and then it cannot ask another worker. Together
    they arrive as one or not at all; and it is one system call less.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._parts: list[bytes] = []
        self._size = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send it with what else is written in this step."""
        if not self._parts:
            self._loop.call_soon(self._send)
        self._parts.append(data)
        self._size += len(data)
        if self._size > MOST:
            self._send()

    def close(self) -> None:
        """Send what was written, and close."""
        self._send()
        self._transport.close()

    def _send(self) -> None:
        parts, self._parts, self._size = self._parts, [], 0
        if parts and not self._transport.is_closing():
            self._transport.write(b"".join(parts))
