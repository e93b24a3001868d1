"""The real service, started as the image starts it, for the tests that ask it over HTTP."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
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
    state: Path,
    command: tuple[str, ...] = GUNICORN,
    name: str = "service",
    ready: str = "/readyz",
    root: Path = ROOT,
    **env: str,
) -> Iterator[Service]:
    """Start the service of a release on a free port of 127.0.0.1; `{port}` in the command stands for it."""
    port = free_port()
    log = state / f"{name}.log"
    inherited = {key: value for key, value in os.environ.items() if key not in {"DATABASE_URL", "WEB_CONCURRENCY"}}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [part.format(port=port) for part in command],
            cwd=root,
            env=inherited
            | {"STATE_DIRECTORY": str(state), "PORT": str(port), "PYTHONPATH": str(root), "PYTHONUNBUFFERED": "1"}
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


def migrate(state: Path, root: Path = ROOT, **env: str) -> None:
    with migrating(state, root, **env) as process:
        said, _ = process.communicate()
    assert process.returncode == 0, said


@contextmanager
def migrating(state: Path, root: Path = ROOT, **env: str) -> Iterator[subprocess.Popen[str]]:
    """Start the migrations of a release, with all they say as their output."""
    inherited = {key: value for key, value in os.environ.items() if key != "DATABASE_URL"}
    with subprocess.Popen(
        [sys.executable, "-m", "app.migrate"],
        cwd=root,
        env=inherited | {"STATE_DIRECTORY": str(state), "PYTHONPATH": str(root), "PYTHONUNBUFFERED": "1"} | env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


async def load(urls: list[str], seconds: float, clients: int = 12, least: int = 0) -> Counter[str]:
    """Make links, follow them and read their counts, without a pause, until there are `least` answers, too."""
    count: Counter[str] = Counter()
    end = time.monotonic() + seconds

    async def client(url: str) -> None:
        async with httpx.AsyncClient(base_url=url, timeout=30) as http:
            while time.monotonic() < end or count["answered"] < least:
                made = await http.post("/links", json={"url": "https://example.org/"})
                slug = made.json().get("slug")
                answers = [made, await http.get(f"/{slug}"), await http.get(f"/links/{slug}")]
                count["answered"] += len(answers)
                count["failed"] += sum(answer.status_code >= 400 for answer in answers)

    await asyncio.gather(*(client(urls[n % len(urls)]) for n in range(clients)))
    return count
