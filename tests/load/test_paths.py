"""A load of paths: it requests these alone, and counts every response with another status than the expected one."""

import http.server
import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from labs.load.process import Load, LoadError, Options, under_load

pytestmark = pytest.mark.slow


class App(http.server.BaseHTTPRequestHandler):
    requests: ClassVar[Counter[tuple[str, str]]] = Counter()

    def do_GET(self) -> None:
        self.requests[self.path, str(self.headers["Host"])] += 1
        bad = self.path == "/" and self.requests.total() % 10 == 0
        self.send_response(500 if bad else 404 if self.path == "/nowhere" else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), App) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_clients_get_the_paths_and_expect_their_statuses(url: str, tmp_path: Path) -> None:
    options = Options(url, rate=50, host_header="shop.example", paths="200 / 404 /nowhere")
    with under_load(tmp_path / "slipway", options, lead_seconds=1):
        pass
    failures = [json.loads(line) for line in (tmp_path / "slipway/failures.jsonl").read_text().splitlines()]
    requests = [json.loads(line) for line in (tmp_path / "slipway/requests.jsonl").read_text().splitlines()]
    assert set(App.requests) == {("/", "shop.example"), ("/nowhere", "shop.example")}
    assert len(requests) >= 50
    assert failures
    assert {(failure["r"], failure["s"]) for failure in failures} == {("/", 500)}


def test_a_load_that_ends_by_itself_is_an_error(url: str, tmp_path: Path) -> None:
    def run() -> None:
        with under_load(tmp_path / "t", Options(url, rate=20, paths="200 /ok"), lead_seconds=0) as load:
            pid = load.pid()
            assert pid
            os.kill(pid, signal.SIGKILL)
            while load.pid():
                time.sleep(0.05)

    with pytest.raises(LoadError, match="the load had ended before it was stopped"):
        run()
    assert Load(tmp_path / "t").pid() is None
