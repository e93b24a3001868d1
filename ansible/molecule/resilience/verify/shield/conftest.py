"""What is held open while something dies: WebSockets, event streams and requests that take long."""

import http.client
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest

from labs.load import streams

EACH = 6
"""How many of each kind: with four workers, hardly ever all with the same one."""
OPEN_SECONDS = 1.5
"""Until all of them are open."""
WAIT = "import asyncio\nawait asyncio.sleep({seconds})\nreturn 'waited'"


class Held:
    """Connections that are open, and what became of each."""

    def __init__(self, address: str, seconds: float, slow: float) -> None:
        """Open them. Streams are given up after that many seconds, slow requests take that many."""
        url, deadline = f"http://{address}", time.monotonic() + seconds
        self.address, self.slow = address, slow
        kinds: dict[str, Callable[[], str]] = {
            "websocket": lambda: self._websocket(streams.websocket(url, "localhost", deadline)),
            "events": lambda: self._events(streams.events_as_browser(url, "localhost", deadline)),
            "GET": lambda: self._ask("GET", f"/slow?seconds={slow}"),
            "POST": lambda: self._ask("POST", "/attacker/inside", WAIT.format(seconds=slow)),
        }
        self.pool = ThreadPoolExecutor(EACH * len(kinds))
        self.calls: dict[str, list[Future[str]]] = {
            kind: [self.pool.submit(call) for _ in range(EACH)] for kind, call in kinds.items()
        }
        time.sleep(OPEN_SECONDS)

    def seen(self, kind: str) -> Counter[str]:
        """What those of a kind saw, once all have ended."""
        return Counter(call.result(timeout=90) for call in self.calls[kind])

    def _websocket(self, said: dict[str, Any]) -> str:
        assert said["echoed"], "it never worked"
        return "open" if "error" in said else str(said["closed"] or "cut")

    def _events(self, said: dict[str, Any]) -> str:
        assert said["received"], "it never worked"
        if said.get("ended"):
            return "ended"
        return "open" if said["error"] == "the stream did not end" else "cut"

    def _ask(self, method: str, path: str, body: str | None = None) -> str:
        with closing(http.client.HTTPConnection(self.address, timeout=60)) as connection:
            try:
                connection.request(method, path, body=body, headers={"Host": "localhost"})
                response = connection.getresponse()
                response.read()
            except (OSError, http.client.HTTPException):
                return "cut"
            return str(response.status)


@pytest.fixture
def hold(addresses: dict[str, str]) -> Iterator[Callable[..., Held]]:
    """Open some of each kind. Streams are given up after `seconds`; a slow request takes `slow` seconds."""
    held: list[Held] = []

    def opened(seconds: float, slow: float = 4) -> Held:
        held.append(Held(addresses["http"], seconds, slow))
        return held[-1]

    yield opened
    for one in held:
        one.pool.shutdown()
