"""The load against a server that misbehaves on purpose: it counts every failed request, and nothing else."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

LOAD = (sys.executable, "-m", "labs.load")
RATE = 80

Answer = tuple[int, dict[str, str], bytes]


class Server:
    """The link shortener in miniature. Every `every`-th request of a kind fails in the way that `misbehave` names."""

    def __init__(self, misbehave: str = "", every: int = 20) -> None:
        self.misbehave, self.every = misbehave, every
        self.requests: Counter[str] = Counter()
        self.misbehaved = 0
        self.links: dict[str, str] = {}
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        self.server: asyncio.Server | None = None
        self.listen()

    def do(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(10)

    def listen(self) -> None:
        self.server = self.do(asyncio.start_server(self.serve, "127.0.0.1", self.port))

    def refuse(self) -> None:
        """Stop listening; open connections go on."""
        assert self.server is not None
        self.loop.call_soon_threadsafe(self.server.close)

    def close(self) -> None:
        async def end() -> None:
            await asyncio.sleep(0.05)  # an accepted connection gets its task, which closes it
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
            await asyncio.sleep(0.05)  # transports close in a later turn of the loop

        self.refuse()
        self.do(end())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()

    def answer(self, method: str, path: str, body: bytes) -> Answer:
        if path == "/version":
            return 200, {}, b'{"release": "r1"}'
        if path == "/readyz":
            return 200, {}, b'{"status": "ok"}'
        if path.startswith("/slow"):
            return 200, {}, b'{"slept": 1}'
        if path == "/any":
            return 200, {}, b""
        if method == "POST" and path == "/links":
            slug = f"{len(self.links):08}"
            self.links[slug] = json.loads(body)["url"]
            return 201, {}, json.dumps({"slug": slug, "url": self.links[slug], "clicks": 0}).encode()
        if path[1:] in self.links:
            return 307, {"Location": self.links[path[1:]]}, b""
        return 404, {}, b"{}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                while await self.request(reader, writer):
                    pass
        finally:
            writer.close()

    async def request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; False ends the connection."""
        identifier = f"{self.requests.total():032x}"
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        method, path, _ = head.split(" ", 2)
        fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
        body = await reader.readexactly(int(fields.get("content-length", 0)))
        status, headers, content = self.answer(method, path, body)
        kind = "slow" if path.startswith("/slow") else "redirect" if status == 307 else method
        self.requests[kind] += 1
        misbehave = self.misbehave if self.requests[kind] % self.every == 0 else ""
        if misbehave == "wrong-link" and status != 307:
            misbehave = ""
        if misbehave and misbehave != "close-when-idle":
            self.misbehaved += 1
        if kind == "slow" and misbehave != "slow-too-fast":
            await asyncio.sleep(1)
        match misbehave:
            case "500":
                status, headers, content = 500, {}, b"oops"
            case "hang-up":
                return False
            case "reset":
                linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                writer.transport.abort()
                return False
            case "half":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf of it")
                return False
            case "nonsense":
                status, content = (status, b"<html>") if status < 300 else (200, b"<html>")
            case "wrong-link":
                headers = {"Location": "https://example.org/other"}
        close = fields.get("connection") == "close"
        lines = [
            f"HTTP/1.1 {status} X",
            f"Content-Length: {len(content)}",
            f"X-Request-ID: {identifier}",
            *(f"{k}: {v}" for k, v in headers.items()),
        ]
        lines += ["Connection: close"] if close else []
        writer.write("\r\n".join([*lines, "", ""]).encode() + content)
        await writer.drain()
        return not close and misbehave != "close-when-idle"


@contextlib.contextmanager
def serving(misbehave: str = "", every: int = 20) -> Iterator[Server]:
    server = Server(misbehave, every)
    try:
        yield server
    finally:
        server.close()


class Load:
    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def __call__(self, verb: str, *args: str) -> subprocess.CompletedProcess[str]:
        command = [*LOAD, verb, "t", "--directory", str(self.directory), *args]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    def start(self, server: Server, *args: str) -> None:
        result = self("start", "--url", server.url, "--rate", str(RATE), *args)
        assert result.returncode == 0, result.stderr

    def stop(self, *args: str) -> tuple[int, dict[str, Any]]:
        result = self("stop", "--min-rate", "20", *args)
        assert result.stdout, result.stderr
        return result.returncode, json.loads(result.stdout)

    @property
    def pid(self) -> int:
        return int(json.loads((self.directory / "t" / "pid.json").read_text())["pid"])


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Load]:
    load = Load(tmp_path)
    yield load
    load("stop")


@pytest.mark.slow
def test_a_working_server_has_no_failures_at_the_requested_rate(load: Load) -> None:
    with serving() as server:
        load.start(server)
        time.sleep(3)
        check = load("check", "--min-rate", "20")
        assert check.returncode == 0, check.stderr
        load("mark", "later")
        time.sleep(2)
        code, summary = load.stop("--min-rate", str(RATE * 0.9))
    assert code == 0
    assert summary["failures"] == 0
    assert summary["requests"] == server.requests.total()
    assert RATE * 0.9 < summary["rps"] < RATE * 1.1
    assert [phase["phase"] for phase in summary["phases"]] == ["start", "later"]
    assert all(phase["requests"] for phase in summary["phases"])
    every = [json.loads(line) for line in (load.directory / "t" / "requests.jsonl").read_text().splitlines()]
    shares = Counter(request["r"] for request in every)
    assert set(shares) == {"/version", "/readyz", "/{slug}", "/links", "/slow"}
    assert 0.05 < shares["/slow"] / len(every) < 0.15
    assert {request.get("v") for request in every if request["r"] == "/version"} == {"r1"}


@pytest.mark.slow
def test_every_method_is_used_at_the_path_of_the_option(load: Load) -> None:
    with serving() as server:
        load.start(server, "--every-method-at", "/any")
        time.sleep(4)
        code, summary = load.stop()
    assert (code, summary["failures"]) == (0, 0)
    every = [json.loads(line) for line in (load.directory / "t" / "requests.jsonl").read_text().splitlines()]
    used = Counter(request["m"] for request in every if request["r"].endswith("/any"))
    assert set(used) == {"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "POST", "PATCH"}
    assert sum(used.values()) == pytest.approx(RATE * 0.2 * 4, rel=0.4)


@pytest.mark.parametrize(
    ("misbehave", "error"),
    [
        pytest.param("500", "status 500 instead of", marks=pytest.mark.slow),
        ("hang-up", "connection closed"),
        pytest.param("reset", "onnection", marks=pytest.mark.slow),
        pytest.param("half", "Incomplete", marks=pytest.mark.slow),
        pytest.param("nonsense", "<html>", marks=pytest.mark.slow),
        pytest.param("wrong-link", "instead of", marks=pytest.mark.slow),
        pytest.param("slow-too-fast", "answered after only", marks=pytest.mark.slow),
    ],
)
def test_each_failed_request_is_counted_once(load: Load, misbehave: str, error: str) -> None:
    """No failure is hidden by a retry, as the client library would do."""
    with serving(misbehave) as server:
        load.start(server)
        time.sleep(3)
        code, summary = load.stop()
        if misbehave == "slow-too-fast":
            server.misbehaved = server.requests["slow"] // server.every
        if misbehave == "nonsense":  # of /readyz and /slow only the status is checked
            assert 0 < summary["failures"] <= server.misbehaved
        else:
            assert summary["failures"] == server.misbehaved > 0
    assert code == 1
    assert summary["requests"] == server.requests.total()
    assert [failure["error"] for failure in summary["failed"] if error not in failure["error"]] == []
    assert all({"t", "m", "path", "s", "ms", "phase"} <= set(failure) for failure in summary["failed"])


@pytest.mark.slow
def test_a_connection_closed_while_idle_is_no_failure(load: Load) -> None:
    with serving("close-when-idle", every=5) as server:
        load.start(server)
        time.sleep(3)
        code, summary = load.stop()
    assert (code, summary["failures"]) == (0, 0)
    assert summary["requests"] == server.requests.total()


@pytest.mark.slow
def test_a_refused_connection_is_a_failure(load: Load) -> None:
    with serving() as server:
        load.start(server)
        time.sleep(2)
        server.refuse()
        time.sleep(1)
        server.listen()
        time.sleep(1)
        code, summary = load.stop()
    assert code == 1
    assert summary["failures"] == len(summary["failed"]) or summary["failures"] > 20
    assert all("refused" in failure["error"] for failure in summary["failed"])
    assert summary["failures"] == pytest.approx(RATE * 0.2, rel=0.6)


@pytest.mark.slow
def test_too_few_requests_are_a_problem(load: Load) -> None:
    with serving() as server:
        load.start(server)
        time.sleep(2)
        code, summary = load.stop("--min-rate", "1000")
    assert code == 1
    assert "1000" in summary["problems"][0]


@pytest.mark.slow
def test_a_freeze_without_a_failed_request_is_a_problem(load: Load) -> None:
    with serving() as server:
        load.start(server)
        time.sleep(1)
        assert load("check", "--min-rate", "1", "--max-gap", "2").returncode == 0
        server.loop.call_soon_threadsafe(time.sleep, 4)
        time.sleep(3)
        while_it_lasts = load("check", "--min-rate", "1", "--max-gap", "2")
        time.sleep(2)
        afterwards = load("check", "--min-rate", "1", "--max-gap", "3")
        code, summary = load.stop("--max-gap", "30")
    for check in (while_it_lasts, afterwards):
        assert check.returncode == 1
        assert json.loads(check.stdout)["problems"][0].startswith("no response for ")
    assert (code, summary["failures"]) == (0, 0)
    assert 3.9 < summary["worst_gap"]["seconds"] < 10
    assert set(summary["max_by_route"]) == {"/version", "/readyz", "/{slug}", "/links", "/slow"}
    assert max(summary["max_by_route"].values()) > 3000


@pytest.mark.slow
def test_a_load_that_died_is_a_problem(load: Load) -> None:
    with serving() as server:
        load.start(server)
        time.sleep(1)
        os.kill(load.pid, signal.SIGKILL)
        code, summary = load.stop()
    assert code == 1
    assert "had ended" in summary["problems"][0]


@pytest.mark.slow
def test_a_load_is_bounded_in_time(load: Load) -> None:
    with serving() as server:
        load.start(server, "--max-seconds", "2")
        time.sleep(5)
        assert load("check").returncode == 1
        code, summary = load.stop()
    assert code == 1
    assert summary["seconds"] < 4


def test_expected_failures_are_counted_separately(load: Load, tmp_path: Path) -> None:
    with serving("500") as server:
        load.start(server)
        time.sleep(2)
        load.stop("--max-failures", "999")
    failed = [json.loads(line)["id"] for line in (load.directory / "t" / "failures.jsonl").read_text().splitlines()]
    assert len(failed) == server.misbehaved > 1
    expected = tmp_path / "expected"
    expected.write_text("\n".join(failed[1:]))
    check = load("check", "--min-rate", "20", "--may-fail", str(expected))
    summary = json.loads(check.stdout)
    assert (summary["failures"], summary["excused"]) == (1, len(failed) - 1)
    assert summary["failed"][0]["id"] == failed[0]


def test_an_unknown_load_is_an_error(load: Load) -> None:
    result = load("stop")
    assert result.returncode == 1
    assert "no such load" in result.stderr


@pytest.mark.slow
def test_a_stalled_server_gets_as_many_requests_from_many_slow_clients(load: Load) -> None:
    """An open loop: requests are sent when they are due, and each waits for the rest of the stall."""
    with serving() as server:
        load.start(server, "--paths", "200 /version", "--client-rate", "1")
        time.sleep(2)
        stalled_at = time.time()
        server.loop.call_soon_threadsafe(time.sleep, 1)
        time.sleep(2)
        code, summary = load.stop()
    assert (code, summary["failures"]) == (0, 0)
    lines = (load.directory / "t" / "requests.jsonl").read_text().splitlines()
    stalled = [json.loads(line) for line in lines if stalled_at <= json.loads(line)["t"] < stalled_at + 1]
    waits = sorted(request["ms"] for request in stalled)
    assert len(stalled) == pytest.approx(RATE, rel=0.3)
    assert waits[len(waits) // 2] == pytest.approx(500, rel=0.4)
    assert waits[-1] == pytest.approx(1000, rel=0.3)
