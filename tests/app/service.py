"""The real service, started as the image starts it, for the tests that ask it over HTTP."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[2]
GUNICORN = (sys.executable, "-m", "server", "app.main:app")


@dataclass
class Service:
    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def logged(self) -> str:
        return self.log.read_text()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextmanager
def running(
    state: Path, command: tuple[str, ...] = GUNICORN, name: str = "service", ready: str = "/readyz", **env: str
) -> Iterator[Service]:
    """Start the service on a free port of 127.0.0.1; `{port}` in the command stands for it."""
    port = free_port()
    log = state / f"{name}.log"
    inherited = {key: value for key, value in os.environ.items() if key not in {"DATABASE_URL", "WEB_CONCURRENCY"}}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [part.format(port=port) for part in command],
            cwd=ROOT,
            env=inherited
            | {"STATE_DIRECTORY": str(state), "PORT": str(port), "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
            | env,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    service = Service(f"http://127.0.0.1:{port}", process, log)
    try:
        wait_until_ready(service, ready)
        yield service
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                raise


def wait_until_ready(service: Service, path: str, seconds: float = 30) -> None:
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        assert service.process.poll() is None, f"the service ended:\n{service.logged()}"
        try:
            if httpx.get(f"{service.url}{path}").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    raise AssertionError(f"the service did not get ready:\n{service.logged()}")


def migrate(state: Path, **env: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "app.migrate"],
        cwd=ROOT,
        env={**os.environ, "STATE_DIRECTORY": str(state), **env},
        check=True,
        capture_output=True,
    )
