"""Hold a WebSocket and two event streams open, and print how each ended as JSON.

    python -m labs.load.streams http://127.0.0.1:8080 [--host-header NAME] [--max-seconds 120]

Started before a deploy, it records what a cutover does to streams. It ends when all streams have ended.
One event stream is requested as browsers do (`events_as_browser`), one without `Accept: text/event-stream` (`events`).
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
"""A hung worker is silent until it is killed, and only then is its connection reset."""
EVENTS = 3000


def websocket(url: str, host: str, deadline: float) -> dict[str, Any]:
    """Send a message five times a second until the server closes the connection, and count the echoes."""
    parts = urlsplit(url)
    echoed = 0
    address = (parts.hostname or "", parts.port or 80)
    connection = socket.create_connection(address, timeout=10)
    with connect(f"ws://{host}/ws", sock=connection, compression=None, open_timeout=10, close_timeout=5) as opened:
        try:
            while time.monotonic() < deadline:
                opened.send(str(echoed))
                if opened.recv(timeout=SILENCE_SECONDS) != str(echoed):
                    return {"echoed": echoed, "error": "the echo differs from the message"}
                echoed += 1
                time.sleep(ECHO_SECONDS)
        except ConnectionClosed as closed:
            return {"echoed": echoed, "closed": closed.rcvd.code if closed.rcvd else None}
    return {"echoed": echoed, "error": "the server did not close the connection"}


def events(url: str, host: str, deadline: float, **headers: str) -> dict[str, Any]:
    """Read an event stream to its end, and measure the longest time between two events (seconds)."""
    parts = urlsplit(url)
    with closing(http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)) as connection:
        connection.request("GET", f"/events?count={EVENTS}", headers={"Host": host, **headers})
        with connection.getresponse() as response:
            return read_events(response, deadline)


def lines(response: http.client.HTTPResponse) -> Iterator[bytes]:
    """Yield the lines of a response as they come. http.client's own iterator hides a truncated response."""
    rest = b""
    while part := response.read1():
        *whole, rest = (rest + part).split(b"\n")
        yield from whole


def read_events(response: http.client.HTTPResponse, deadline: float) -> dict[str, Any]:
    """Count events until the stream ends or the deadline passes."""
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
                return {"received": received, "longest_gap": round(gap, 3), "error": "the stream did not end"}
    except (http.client.HTTPException, OSError) as error:
        return {"received": received, "longest_gap": round(gap, 3), "error": f"{type(error).__name__}: {error}"}
    # read1 raises IncompleteRead for a truncated chunked response, so this is a proper end.
    return {"received": received, "longest_gap": round(gap, 3), "releases": sorted(releases), "ended": True}


def events_as_browser(url: str, host: str, deadline: float) -> dict[str, Any]:
    """Send the header of EventSource."""
    return events(url, host, deadline, Accept="text/event-stream")


KINDS = (websocket, events, events_as_browser)


def main() -> int:
    """Open the streams and print how each ended."""
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
