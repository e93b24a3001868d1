"""The end of `slipway up`: what it prints for any app that answers, and that it fails for one that does not."""

import http.server
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from slipway.controller.next_steps import NoAnswerError, text
from slipway.controller.project import Project
from tools.checkout import ROOT

HERE = Project(ROOT, ROOT / "ansible/inventories")
FOREIGN = Project(Path("/home/me/shop"), Path("/home/me/shop/deploy"))
Pages = dict[str, tuple[int, str]]


@contextmanager
def serving(pages: Pages, other: int = 404) -> Iterator[str]:
    class App(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = pages.get(self.path, (other, "Not Found"))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), App) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_the_example_shows_its_release_and_its_routes() -> None:
    openapi = json.dumps({"paths": {"/links": {}, "/{slug}": {}}})
    pages = {"/version": (200, '{"release": "r1"}'), "/openapi.json": (200, openapi), "/docs": (200, "docs")}
    with serving(pages) as url:
        printed = text(url, HERE)
    assert f'{url}/version: {{"release": "r1"}}' in printed
    assert f"curl -s {url}/links" in printed
    assert f"open {url}/docs" in printed


@pytest.mark.parametrize(
    ("pages", "other"),
    [
        pytest.param({}, 404, id="no /version"),
        pytest.param({}, 401, id="every path needs a login"),
        pytest.param({}, 500, id="the app itself fails on /version"),
        pytest.param({"/openapi.json": (200, "<html>a page for every path</html>")}, 200, id="one page for all paths"),
        pytest.param({"/openapi.json": (200, "[]")}, 404, id="another openapi.json"),
        pytest.param({"/openapi.json": (200, '{"paths": {"/a": {}}}')}, 404, id="no page of documentation"),
    ],
)
def test_any_app_that_answers_is_green(pages: Pages, other: int) -> None:
    with serving(pages, other) as url:
        printed = text(url, HERE)
    assert f"Serving:  {url}" in printed
    assert "make rollback" in printed
    assert "/links" not in printed
    assert "/docs" not in printed


def test_another_project_has_the_tool_and_no_makefile() -> None:
    with serving({}) as url:
        printed = text(url, FOREIGN)
    assert "slipway rollback" in printed
    assert "make" not in printed


@pytest.mark.parametrize("status", [502, 503, 504])
def test_nginx_without_an_app_is_red(status: int) -> None:
    with serving({}, status) as url, pytest.raises(NoAnswerError) as raised:
        text(url, HERE)
    assert str(raised.value) == f"The app at {url} does not answer (status {status}). Type: make status"


def test_no_server_is_red() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    with pytest.raises(NoAnswerError, match="does not answer"):
        text(url, FOREIGN)
