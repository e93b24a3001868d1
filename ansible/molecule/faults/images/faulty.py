"""The app, bad in the way that the setting FAULT names."""

import asyncio
import os
import signal
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

FAULT = os.environ.get("FAULT", "")

if FAULT == "import":
    import a_module_that_is_not_there  # type: ignore[import-not-found]  # noqa: F401
if FAULT == "setting":
    os.environ["PAYMENT_URL"]
if FAULT == "version":
    os.environ["SLIPWAY_RELEASE"] = "20200101T000000-0000000"

from app.main import app as good  # noqa: E402

Message = MutableMapping[str, Any]
HEALTH = {"/readyz", "/livez", "/version"}
SLOWER_SECONDS = 0.4
LEAK_BYTES = 16 * 2**20


async def app(
    scope: MutableMapping[str, Any],
    receive: Callable[[], Awaitable[Message]],
    send: Callable[[Message], Awaitable[None]],
) -> None:
    """Answer as the app does, but for the fault."""
    if scope["type"] == "lifespan":
        await _start()
    elif scope["type"] == "http":
        if FAULT == "route" and scope["method"] == "GET" and scope["path"] not in HEALTH:
            await send({"type": "http.response.start", "status": 500, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body", "body": b""})
            return
        if FAULT == "slow":
            await asyncio.sleep(SLOWER_SECONDS)
        if FAULT == "leak" and scope["path"] not in HEALTH:
            _leak()
    await good(scope, receive, send)


async def _start() -> None:
    if FAULT == "startup":
        raise RuntimeError("the licence has expired")
    if FAULT == "on-one-host" and (Path(os.environ["STATE_DIRECTORY"]) / "broken").exists():
        raise RuntimeError("the licence of this host has expired")
    if FAULT == "hang":
        await asyncio.sleep(3600)
    if FAULT == "crash":
        threading.Timer(2, lambda: os.kill(os.getppid(), signal.SIGKILL)).start()


leaked: list[bytes] = []


def _leak() -> None:
    """Keep memory with each request, until the kernel ends the worker.

    A stand-in for the kernel: in a container without the memory controller nobody enforces MemoryMax=, so the worker
    ends itself as it would be ended.
    """
    leaked.append(bytes(2**21))
    if sum(map(len, leaked)) > LEAK_BYTES:
        os.kill(os.getpid(), signal.SIGKILL)
