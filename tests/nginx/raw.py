"""Requests that no client library sends."""

import http.client
import json
import socket
import time
from typing import Any

from tests.nginx.conftest import Site


def raw(site: Site, head: str | bytes, body: bytes = b"") -> tuple[int, dict[str, str], str]:
    """Send these lines as they are. Returns status, headers and body."""
    lines = head.encode() if isinstance(head, str) else head
    with socket.create_connection(("127.0.0.1", site.port), timeout=20) as client:
        client.sendall(lines.replace(b"\n", b"\r\n") + b"\r\n\r\n" + body)
        with http.client.HTTPResponse(client, method=lines.split()[0].decode(errors="replace")) as answer:
            answer.begin()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read().decode()


def logged(site: Site, request_id: str) -> tuple[bytes, dict[str, Any]]:
    """Return the line of access.log about a request, once it is there: as it stands, and as JSON."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for line in (site.folder / "access.log").read_bytes().splitlines():
            if request_id.encode() in line:
                entry: dict[str, Any] = json.loads(line.decode())
                return line, entry
        time.sleep(0.02)
    raise AssertionError(f"access.log has no line about {request_id}")
