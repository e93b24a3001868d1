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


@pytest.mark.parametrize("command", [GUNICORN, UVICORN, (*UVICORN, "--reload")], ids=["gunicorn", "uvicorn", "reload"])
def test_every_client_gets_its_end(command: tuple[str, ...], state: Path) -> None:
    seen: dict[str, Any] = {}

    def slow() -> None:
        seen["slow"] = httpx.get(f"{url}/slow?seconds=2", timeout=10).status_code

    def stream() -> None:
        with httpx.stream("GET", f"{url}/events?count=3000", timeout=10) as answer:
            seen["events"] = sum(line.startswith("data:") for line in answer.iter_lines())
        seen["events ended"] = time.monotonic()

    def socket() -> None:
        with connect(url.replace("http", "ws") + "/ws") as client:
            client.send("hello")
            seen["echo"] = client.recv()
            try:
                client.recv(timeout=10)
            except ConnectionClosed as closed:
                seen["ws"] = closed.rcvd and closed.rcvd.code
        seen["ws ended"] = time.monotonic()

    with running(state, command, WEB_CONCURRENCY="1") as service:
        url = service.url
        threads = [threading.Thread(target=target) for target in (slow, stream, socket)]
        for thread in threads:
            thread.start()
        time.sleep(1)
        asked = time.monotonic()
        service.stop()
        stopped = time.monotonic() - asked
        for thread in threads:
            thread.join()

    assert seen["slow"] == 200, "a request in flight is finished"
    assert seen["events"] >= 3
    assert seen["events ended"] - asked < 3, "a stream ends at once, it does not hold the old release"
    assert (seen["echo"], seen["ws"]) == ("hello", 1012)
    assert seen["ws ended"] - asked < 3
    assert stopped < 8
    assert "Traceback" not in service.logged()
