"""Only GET over HTTP/1.1 without a body becomes a WebSocket. A server may wait for a body that it was told to ignore."""

import json
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.nginx.conftest import NAME, Site
from tests.nginx.raw import raw

UPGRADE = (
    f"Host: {NAME}\nConnection: Upgrade\nUpgrade: websocket\nSec-WebSocket-Version: 13\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
)


@contextmanager
def websocket(site: Site) -> Iterator[bytes]:
    """Ask for a WebSocket and keep it open. Yields the beginning of the response."""
    with socket.create_connection(("127.0.0.1", site.port), timeout=20) as client:
        client.sendall(f"GET /ws HTTP/1.1\n{UPGRADE}\n\n".replace("\n", "\r\n").encode())
        yield client.recv(4096)


def test_a_websocket_opens(site: Site) -> None:
    with websocket(site) as response:
        assert response.startswith(b"HTTP/1.1 101 ")


@pytest.mark.parametrize(
    ("line", "more", "body"),
    [
        ("GET /request HTTP/1.1", "\nContent-Length: 3", b"abc"),
        ("GET /request HTTP/1.1", "\nContent-Length: 0", b""),
        ("GET /request HTTP/1.1", "\nTransfer-Encoding: chunked", b"3\r\nabc\r\n0\r\n\r\n"),
        ("POST /request HTTP/1.1", "", b""),
        ("POST /request HTTP/1.1", "\nContent-Length: 3", b"abc"),
        ("HEAD /request HTTP/1.1", "", b""),
        ("GET /request HTTP/1.0", "", b""),
    ],
)
def test_any_other_request_is_answered_as_if_it_had_not_asked(site: Site, line: str, more: str, body: bytes) -> None:
    status, _, answer = raw(site, f"{line}\n{UPGRADE}{more}".replace("Connection: Upgrade", "Connection: close"), body)
    assert status == 200
    if answer:
        seen = json.loads(answer)
        assert seen["size"] == len(body if len(body) == 3 else body[3:6])
        assert "upgrade" not in dict(seen["headers"])


@pytest.mark.parametrize("upgrade", ["h2c", "websocket, h2c", "websocketx"])
def test_no_other_protocol_is_upgraded_to(site: Site, upgrade: str) -> None:
    head = f"GET /request HTTP/1.1\nHost: {NAME}\nConnection: close, Upgrade\nUpgrade: {upgrade}"
    assert "upgrade" not in dict(json.loads(raw(site, head)[2])["headers"])


def test_by_http_2_the_header_goes(serve: Callable[..., Site], certificate: dict[str, str]) -> None:
    site = serve(nginx_tls="files", **certificate)
    command = ["curl", "-sk", "--http2", "--resolve", f"{NAME}:{site.port}:127.0.0.1", "-H", "Upgrade: websocket"]
    command += ["--max-time", "20", f"https://{NAME}:{site.port}/request"]
    seen = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=30).stdout)
    assert "upgrade" not in dict(seen["headers"])


def test_how_many_websockets_a_client_may_have_is_one_variable(serve: Callable[..., Site]) -> None:
    site = serve(nginx_websockets_per_address=2)
    with ExitStack() as stack:
        first, second, third = (stack.enter_context(websocket(site)) for _ in range(3))
        assert first.startswith(b"HTTP/1.1 101 ")
        assert second.startswith(b"HTTP/1.1 101 ")
        assert third.startswith(b"HTTP/1.1 429 ")
        assert b"Too many WebSockets at once from this address" in third
        # Other requests have a limit of their own.
        assert raw(site, f"GET /request HTTP/1.1\nHost: {NAME}\nConnection: close")[0] == 200
