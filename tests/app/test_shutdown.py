"""What SIGTERM does to what is open, under each server that the app is run by."""

import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.app.service import GUNICORN, running

UVICORN = (sys.executable, "-m", "uvicorn", "app.main:app", "--port", "{port}")


@pytest.mark.slow
@pytest.mark.parametrize("command", [GUNICORN, UVICORN, (*UVICORN, "--reload")], ids=["gunicorn", "uvicorn", "reload"])
def test_every_client_gets_its_end(command: tuple[str, ...], state: Path) -> None:
    seen: dict[str, Any] = {}

    def slow() -> None:
        seen["slow"] = httpx.get(f"{url}/slow?seconds=6", timeout=30).status_code
        seen["slow ended"] = time.monotonic()

    def stream() -> None:
        with httpx.stream("GET", f"{url}/events?count=3000", timeout=30) as answer:
            seen["events"] = sum(line.startswith("data:") for line in answer.iter_lines())
        seen["events ended"] = time.monotonic()

    def socket() -> None:
        with connect(url.replace("http", "ws") + "/ws") as client:
            client.send("hello")
            seen["echo"] = client.recv()
            try:
                client.recv(timeout=30)
            except ConnectionClosed as closed:
                seen["ws"] = closed.rcvd and closed.rcvd.code
        seen["ws ended"] = time.monotonic()

    with running(state, command, WEB_CONCURRENCY="1") as service:
        url = service.url
        threads = [threading.Thread(target=target) for target in (slow, stream, socket)]
        for thread in threads:
            thread.start()
        time.sleep(1)
        service.stop()
        for thread in threads:
            thread.join()

    assert seen["slow"] == 200, "a request in flight is finished"
    assert seen["events"] >= 3
    assert seen["events ended"] < seen["slow ended"], "a stream ends at once, it does not hold the old release"
    assert (seen["echo"], seen["ws"]) == ("hello", 1012)
    assert seen["ws ended"] < seen["slow ended"]
    assert "Traceback" not in service.logged()
