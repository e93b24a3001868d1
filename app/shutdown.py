"""Tells long answers that the server is stopping.

A server that gets SIGTERM waits for open answers. An event stream has no end of its own, so it would hold the old
release until the timeout; it must learn of the stop and end itself. ASGI has no message for this (`lifespan.shutdown`
comes after the wait), so the signal is watched beside the server's own handler. That works alike under gunicorn,
uvicorn and `--reload`, since all of them run the worker's loop in its main thread and handle SIGTERM there.
"""

import asyncio
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Shutdown:
    """Whether this worker is stopping."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    async def within(self, seconds: float) -> bool:
        """Wait this long, or until the server stops; tell whether it does."""
        try:
            await asyncio.wait_for(self._event.wait(), seconds)
        except TimeoutError:
            return False
        return True

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Listen for the signals inside the block. The server's own handlers are called as before."""
        if threading.current_thread() is not threading.main_thread():  # Python allows signal handlers only there
            yield
            return
        loop = asyncio.get_running_loop()
        previous = {number: signal.getsignal(number) for number in SIGNALS}

        def handle(number: int, frame: FrameType | None) -> None:
            loop.call_soon_threadsafe(self._event.set)
            before = previous[signal.Signals(number)]
            if callable(before):
                before(number, frame)

        for number in SIGNALS:
            signal.signal(number, handle)
        try:
            yield
        finally:
            for number, before in previous.items():
                signal.signal(number, before)
