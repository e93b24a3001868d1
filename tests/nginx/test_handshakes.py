"""TLS handshakes that are there to cost the server: again on one connection, or never finished."""

import contextlib
import socket
import ssl
import subprocess
import time
from collections.abc import Callable

import pytest

from tests.nginx.conftest import NAME, Site

HEADER_TIMEOUT_SECONDS = 15


@pytest.fixture(scope="module")
def secure(serve: Callable[..., Site], certificate: dict[str, str]) -> Site:
    """The site over HTTPS."""
    return serve(nginx_tls="files", **certificate)


def client_hello() -> bytes:
    """Return the first message of a handshake."""
    sent = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), sent, server_hostname=NAME).do_handshake()
    return sent.read()


def test_no_handshake_is_repeated_on_a_connection(secure: Site) -> None:
    """TLS 1.2 has renegotiation, which no limit on connections would see."""
    command = ["openssl", "s_client", "-tls1_2", "-servername", NAME, "-connect", f"127.0.0.1:{secure.port}"]
    done = subprocess.run(command, input="R\n", capture_output=True, text=True, timeout=30, check=False)
    assert "RENEGOTIATING" in done.stdout + done.stderr
    assert "no renegotiation" in done.stderr


def test_an_unfinished_handshake_ends(secure: Site) -> None:
    """As the time for a request's header does, also for a client that sends its first message byte by byte."""
    hello, begin = client_hello(), time.monotonic()
    address = ("127.0.0.1", secure.port)
    with socket.create_connection(address, timeout=1) as silent, socket.create_connection(address) as slow:
        silent.sendall(hello)
        assert silent.recv(1 << 16), "nginx answers the first message"
        for number in range(2 * HEADER_TIMEOUT_SECONDS):
            try:
                slow.sendall(hello[number : number + 1])
                with contextlib.suppress(TimeoutError):
                    if not silent.recv(1 << 16):
                        break
            except OSError:
                break
        assert HEADER_TIMEOUT_SECONDS - 1 < time.monotonic() - begin < HEADER_TIMEOUT_SECONDS + 5
        slow.settimeout(5)
        with contextlib.suppress(ConnectionResetError):
            assert not slow.recv(1 << 16)
