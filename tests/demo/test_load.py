"""The load of `make try`: it asks for what it was told, and counts what is not as it was."""

import http.server
import json
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from bench.host import ROOT
from demo import load

pytestmark = pytest.mark.slow


class App(http.server.BaseHTTPRequestHandler):
    asked: ClassVar[Counter[tuple[str, str]]] = Counter()

    def do_GET(self) -> None:
        self.asked[self.path, str(self.headers["Host"])] += 1
        bad = self.path == "/" and self.asked.total() % 10 == 0
        self.send_response(500 if bad else 404 if self.path == "/nowhere" else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), App) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_visitors_ask_for_paths_and_expect_what_was_there_before(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "LEAD_SECONDS", 1)
    options = ["--locustfile", str(ROOT / "demo/visitors.py"), "--host-header", "shop.example"]
    with load.load(tmp_path / "slipway", url, 50, options, {"VISITOR_PATHS": "200 / 404 /nowhere"}):
        pass
    failures = [json.loads(line) for line in (tmp_path / "slipway/failures.jsonl").read_text().splitlines()]
    requests = [json.loads(line) for line in (tmp_path / "slipway/requests.jsonl").read_text().splitlines()]
    assert set(App.asked) == {("/", "shop.example"), ("/nowhere", "shop.example")}
    assert len(requests) >= 50
    assert failures
    assert {(failure["r"], failure["s"]) for failure in failures} == {("/", 500)}
