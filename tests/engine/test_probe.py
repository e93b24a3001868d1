"""Asking over HTTP, and looking at queues: the real thing."""

import http.server
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from slipway.engine.probe import Answer, Front, get_from_socket, open_connections, queue_length
from tests.engine.fakes import FakeHost
from tests.engine.names import A


def serve_once(path: Path, answer: bytes, pause: float = 0, parts: int = 1) -> threading.Thread:
    """A server that sends the same bytes `parts` times to its first caller."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def run() -> None:
        with closing(listener):
            connection, _ = listener.accept()
            with closing(connection):
                connection.recv(4096)
                for _ in range(parts):
                    try:
                        connection.sendall(answer)
                    except OSError:
                        return
                    time.sleep(pause)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


@pytest.mark.parametrize(("status", "good"), [(200, True), (204, True), (199, False), (301, False), (503, False)])
def test_only_success_is_good(status: int, good: bool) -> None:
    assert Answer(status).good is good


def test_an_answer_reads_as_its_status_and_body_or_why_there_is_none() -> None:
    assert str(Answer(503, "warming up")) == "503 warming up"
    assert str(Answer(error="no answer within 5 s")) == "no answer within 5 s"
    assert len(str(Answer(500, "x" * 9999))) < 600


@pytest.mark.parametrize(
    ("body", "value"),
    [('{"release": "r"}', "r"), ('{"release": 7}', None), ("{}", None), ("[]", None), ("null", None), ("<html>", None)],
)
def test_a_field_of_a_body_that_has_none_is_none(body: str, value: str | None) -> None:
    assert Answer(200, body).field("release") == value


def test_a_request_goes_to_the_socket(host: FakeHost) -> None:
    host.systemd.start(f"app@{A}.service")
    answer = get_from_socket(host.releases.socket(A), "/version", "localhost")
    assert (answer.good, answer.field("release")) == (True, A)


def test_an_answer_that_never_came_has_its_reason(folder: Path) -> None:
    assert str(get_from_socket(folder / "none", "/", "localhost")).startswith("FileNotFoundError")
    closed = socket.socket(socket.AF_UNIX)
    closed.bind(str(folder / "closed"))
    closed.close()
    assert str(get_from_socket(folder / "closed", "/", "localhost")).startswith("ConnectionRefusedError")


@pytest.mark.parametrize(
    "response", [b"", b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"]
)
def test_what_is_no_http_is_no_good_answer(folder: Path, response: bytes) -> None:
    server = serve_once(folder / "s", response)
    answer = get_from_socket(folder / "s", "/", "localhost", timeout=1)
    server.join()
    assert answer.error or answer.body == "short"


def test_silence_ends_after_the_timeout(folder: Path) -> None:
    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(str(folder / "s"))
        listener.listen()
        began = time.monotonic()
        assert str(get_from_socket(folder / "s", "/", "localhost", timeout=0.1)) == "no answer within 0.1 s"
    assert time.monotonic() - began < 5


def test_a_stream_that_never_ends_is_no_answer(folder: Path) -> None:
    chunk = b"HTTP/1.1 200 OK\r\n\r\n"
    server = serve_once(folder / "s", chunk, pause=0.02, parts=500)
    began = time.monotonic()
    answer = get_from_socket(folder / "s", "/events", "localhost", timeout=0.1)
    assert str(answer) == "no answer within 0.1 s"
    assert time.monotonic() - began < 5
    server.join()


def test_a_large_body_is_cut(folder: Path) -> None:
    server = serve_once(folder / "s", b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 200000)
    answer = get_from_socket(folder / "s", "/", "localhost")
    server.join()
    assert answer.good
    assert 0 < len(answer.body) < 200000


@pytest.fixture
def nginx() -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.headers["Host"] == "app.example" else 421)
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_request_through_nginx_has_the_sites_name(nginx: str) -> None:
    assert Front().get(nginx, "/readyz", "app.example").status == 200
    assert Front().get(nginx, "/readyz", "other.example").status == 421


def test_nginx_that_is_down_is_an_error() -> None:
    assert "ConnectionRefusedError" in str(Front().get("http://127.0.0.1:1", "/", "app.example"))
    assert "ConnectionRefusedError" in str(Front().get("https://127.0.0.1:1", "/", "app.example"))


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed")
def test_a_request_over_tls_has_the_sites_name_whatever_the_certificate(folder: Path) -> None:
    key, certificate = folder / "key", folder / "certificate"
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"]
    subprocess.run(
        [*make, "-subj", "/CN=app.example", "-keyout", key, "-out", certificate], check=True, capture_output=True
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    names: list[str | None] = []
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with context.wrap_socket(connection, server_side=True) as secured:
                secured.recv(4096)
                secured.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

        server = threading.Thread(target=serve)
        server.start()
        answer = Front().get(f"https://127.0.0.1:{listener.getsockname()[1]}", "/readyz", "app.example")
        server.join()
    assert (answer.status, names) == (204, ["app.example"])


@pytest.mark.skipif(not shutil.which("ss"), reason="ss (iproute2) is not installed")
def test_connections_that_were_not_accepted_are_counted_by_socket(folder: Path) -> None:
    with closing(socket.socket(socket.AF_UNIX)) as listener, closing(socket.socket(socket.AF_UNIX)) as other:
        for each, name in ((listener, "a.sock"), (other, "b.sock")):
            each.bind(str(folder / name))
            each.listen()
        assert queue_length(folder / "a.sock") == 0
        clients = [socket.socket(socket.AF_UNIX) for _ in range(3)]
        for client in clients:
            client.connect(str(folder / "a.sock"))
        assert (queue_length(folder / "a.sock"), queue_length(folder / "b.sock")) == (3, 0)
        assert open_connections(folder / "a.sock") == 0
        with closing(listener.accept()[0]):
            assert (queue_length(folder / "a.sock"), open_connections(folder / "a.sock")) == (2, 1)
        assert (queue_length(folder / "a.sock"), open_connections(folder / "a.sock")) == (2, 0)
        for client in clients:
            client.close()
    assert queue_length(folder / "none.sock") == 0
