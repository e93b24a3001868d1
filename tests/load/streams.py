#!/usr/bin/env python3
"""Holds a WebSocket and two event streams open, and says as JSON what became of them.

    tests/load/streams.py http://127.0.0.1:8080 [--host-header NAME] [--max-seconds 120]

Started before a deploy, it sees what a cutover does to them. It ends when all have ended.
One of the event streams is asked for as a browser does (`events_as_browser`), one without saying so (`events`).
"""

import argparse
import http.client
import json
import socket
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

ECHO_SECONDS = 0.2
SILENCE_SECONDS = 30
"""A worker that hangs is silent until it is killed, and only then is its connection cut."""
EVENTS = 3000


def websocket(url: str, host: str, deadline: float) -> dict[str, Any]:
    """Send a text five times a second until the server closes, and count the echoes."""
    parts = urlsplit(url)
    echoed = 0
    address = (parts.hostname or "", parts.port or 80)
    connection = socket.create_connection(address, timeout=10)
    with connect(f"ws://{host}/ws", sock=connection, compression=None, open_timeout=10, close_timeout=5) as opened:
        try:
            while time.monotonic() < deadline:
                opened.send(str(echoed))
                if opened.recv(timeout=SILENCE_SECONDS) != str(echoed):
                    return {"echoed": echoed, "error": "the echo is not what was sent"}
                echoed += 1
                time.sleep(ECHO_SECONDS)
        except ConnectionClosed as closed:
            return {"echoed": echoed, "closed": closed.rcvd.code if closed.rcvd else None}
    return {"echoed": echoed, "error": "it was not closed"}


def events(url: str, host: str, deadline: float, **headers: str) -> dict[str, Any]:
    """Read an event stream to its end, and note the longest time between two events (seconds)."""
    parts = urlsplit(url)
    with closing(http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)) as connection:
        connection.request("GET", f"/events?count={EVENTS}", headers={"Host": host, **headers})
        with connection.getresponse() as response:
            return follow(response, deadline)


def lines(response: http.client.HTTPResponse) -> Iterator[bytes]:
    """The lines of an answer as they come. http.client's own take an answer that breaks off for one that ends."""
    rest = b""
    while part := response.read1():
        *whole, rest = (rest + part).split(b"\n")
        yield from whole


def follow(response: http.client.HTTPResponse, deadline: float) -> dict[str, Any]:
    """Count what comes, until it ends or the deadline."""
    received, gap, before = 0, 0.0, time.monotonic()
    releases: set[str] = set()
    try:
        for line in lines(response):
            if not line.startswith(b"data:"):
                continue
            now = time.monotonic()
            received, gap, before = received + 1, max(gap, now - before), now
            releases.add(json.loads(line.removeprefix(b"data:"))["release"])
            if now > deadline:
                return {"received": received, "longest_gap": round(gap, 3), "error": "it did not end"}
    except (http.client.HTTPException, OSError) as error:
        return {"received": received, "longest_gap": round(gap, 3), "error": f"{type(error).__name__}: {error}"}
    # read1 raises IncompleteRead for a chunked answer that breaks off, so to get here is a proper end.
    return {"received": received, "longest_gap": round(gap, 3), "releases": sorted(releases), "ended": True}


def events_as_browser(url: str, host: str, deadline: float) -> dict[str, Any]:
    """Ask as EventSource does. nginx knows such a request; that it does not buffer the other is the app's word."""
    return events(url, host, deadline, Accept="text/event-stream")


KINDS = (websocket, events, events_as_browser)


def main() -> int:
    """Open all and print what became of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("url")
    parser.add_argument("--host-header", default="localhost")
    parser.add_argument("--max-seconds", type=float, default=120)
    options = parser.parse_args()
    deadline = time.monotonic() + options.max_seconds
    with ThreadPoolExecutor(len(KINDS)) as pool:
        calls = {kind.__name__: pool.submit(kind, options.url, options.host_header, deadline) for kind in KINDS}
        result = {name: call.result() for name, call in calls.items()}
    print(json.dumps(result))
    return 0 if all("error" not in part for part in result.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
