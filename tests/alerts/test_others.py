"""Whether the other hosts answer: requests to real servers."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from slipway.alerts.others import silent
from slipway.engine.probe import Front
from tests.engine.conftest import SITE


@contextmanager
def answering(status: int, address: str) -> Iterator[int]:
    """A server that answers each request for the site's name so; its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.headers["Host"] == SITE.probe_host else 421)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    server_class = type("Server", (ThreadingHTTPServer,), {"address_family": family})
    with server_class((address, 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.mark.parametrize("status", [200, 308, 502, 503])
@pytest.mark.parametrize("address", ["127.0.0.2", "::1"])
def test_one_that_responds_is_there(status: int, address: str) -> None:
    with answering(status, address) as port:
        site = replace(SITE, front_url=f"http://127.0.0.1:{port}")
        assert silent(Front(), site, {"www2": address}) == {}


def test_one_that_does_not_is_named_with_the_reason() -> None:
    with answering(200, "127.0.0.2") as port:
        site = replace(SITE, front_url=f"http://127.0.0.1:{port}")
        found = silent(Front(), site, {"www2": "127.0.0.2", "www3": "127.0.0.3", "www4": "no-such-name.invalid"})
    assert set(found) == {"www3", "www4"}
    assert found["www3"].startswith("127.0.0.3: ConnectionRefusedError")
    assert "gaierror" in found["www4"]


def test_a_port_that_speaks_no_http_is_no_response() -> None:
    with socket.create_server(("127.0.0.2", 0)) as server:
        site = replace(SITE, front_url=f"https://127.0.0.1:{server.getsockname()[1]}")
        threading.Thread(target=lambda: server.accept()[0].close(), daemon=True).start()
        assert set(silent(Front(), site, {"www2": "127.0.0.2"})) == {"www2"}
