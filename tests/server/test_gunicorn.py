"""The configuration under real gunicorn, with small apps: good ones, and ones that must not be preloaded."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

GOOD = """
import os
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    body = ("%s %s" % (scope["scheme"], os.environ["WEB_CONCURRENCY"])).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(body)).encode())]})
    await send({"type": "http.response.body", "body": body})
"""

BAD = {
    "timer": ("import threading\nthreading.Timer(60, int).start()", "thread 'Thread-1' started at import by {module}:2"),
    "thread": ("import threading, time\nthreading.Thread(target=time.sleep, args=(60,), name='metrics', daemon=True).start()", "thread 'metrics' started at import by {module}:2"),
    "socket": ("import socket\nconnection = socket.socket()", "a socket (file descriptor "),
    "socket's place": ("import socket\nconnection = socket.socket()", "opened at import by {module}:2"),
    "asyncio loop": ("import asyncio\nloop = asyncio.new_event_loop()", "an event loop (file descriptor "),
    "uvloop": ("import uvloop\nloop = uvloop.new_event_loop()", "an event loop (file descriptor "),
    "pool": ("from concurrent.futures import ThreadPoolExecutor\npool = ThreadPoolExecutor(1)\npool.submit(int)", "started at import by {module}:3"),
}  # fmt: skip

FINE = {
    "closed again": "import socket\nsocket.socket().close()",
    "ended again": "import threading\nt = threading.Thread(target=int)\nt.start()\nt.join()",
    "closed loop": "import asyncio\nasyncio.run(asyncio.sleep(0))",
}


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "server", "small:app", *arguments]


def environment(folder: Path, **env: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if key not in {"WEB_CONCURRENCY", "GUNICORN_CMD_ARGS"}}
    return (
        kept
        | {"PYTHONPATH": f"{folder}:{ROOT}", "PORT": "0", "WEB_CONCURRENCY": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        | env
    )


def fails(folder: Path, **env: str) -> str:
    """Run gunicorn, which must refuse to start; give what it says."""
    done = subprocess.run(
        command(), cwd=folder, env=environment(folder, **env), capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode != 0
    return done.stdout + done.stderr


@contextmanager
def serving(folder: Path, *arguments: str, **env: str) -> Iterator[tuple[subprocess.Popen[bytes], Path, Path]]:
    """Run gunicorn on a Unix socket that it is handed the way systemd hands it: file descriptor 3, and LISTEN_FDS."""
    path, log = folder / "app.sock", folder / "log"
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(path))
    listening.listen(64)

    # LISTEN_PID is the number of the process that the socket is for, so that process has to write it, and then become
    # gunicorn.
    become = (
        "import os, sys; os.dup2(int(sys.argv[1]), 3); "
        "os.execve(sys.argv[2], sys.argv[2:], {**os.environ, 'LISTEN_FDS': '1', 'LISTEN_PID': str(os.getpid())})"
    )
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", become, str(listening.fileno()), *command(*arguments)],
            cwd=folder, env=environment(folder, **env),
            pass_fds=[listening.fileno()], stdout=output, stderr=output,
        )  # fmt: skip
    try:
        yield process, path, log
    finally:
        listening.close()
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise


def get(path: Path, timeout: float = 15) -> str:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(timeout)  # requests wait in the socket while gunicorn starts
        sock.connect(str(path))
        sock.sendall(b"GET / HTTP/1.0\r\nX-Forwarded-Proto: https\r\n\r\n")
        return sock.makefile().read().rpartition("\n")[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "small.py").write_text(GOOD)
    return tmp_path


def test_the_socket_of_systemd_is_served(folder: Path) -> None:
    with serving(folder, FORWARDED_ALLOW_IPS="*") as (process, path, log):
        assert get(path) == "https 1"
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert path.is_socket(), "the socket is systemd's, and must outlive the server"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert {"time", "level", "logger", "pid", "message"} <= set.intersection(*(set(line) for line in lines))
    assert any(line["message"] == "1 workers: WEB_CONCURRENCY=1" for line in lines)


def test_the_queue_of_the_socket_stays_as_long(folder: Path) -> None:
    with serving(folder) as (_, path, _):
        get(path)
        queues = subprocess.run(["ss", "-xlH", f"src = {path}"], capture_output=True, text=True, check=True).stdout
        most = int(Path("/proc/sys/net/core/somaxconn").read_text())
        assert queues.split()[3] == str(min(4096, most)), queues


def test_the_command_line_of_the_unit_wins(folder: Path) -> None:
    with serving(folder, GUNICORN_CMD_ARGS="--workers=2 --access-logfile=-") as (_, path, log):
        assert get(path) == "http 2"
        assert "GET / HTTP/1.0" in log.read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_a_worker_that_has_just_been_forked_can_be_stopped(folder: Path, number: signal.Signals) -> None:
    """It has the master's handlers for a moment, which is made longer here: by the first thing that a worker does."""
    (folder / "small.py").write_text(
        GOOD
        + "\nimport time\nfrom gunicorn import util\n"
        + "util._setproctitle = lambda title: title.startswith('worker') and time.sleep(60)\n"
    )
    with serving(folder) as (process, _, _):
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        deadline = time.monotonic() + 15
        while not children.read_text() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert children.read_text()
        process.send_signal(number)
        assert process.wait(20) == 0


def test_a_worker_that_is_killed_is_replaced(folder: Path) -> None:
    with serving(folder) as (process, path, _):
        get(path)
        (worker,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(worker), signal.SIGKILL)
        assert get(path) == "http 1"


def test_an_answer_arrives_as_one(folder: Path) -> None:
    """Not its head and then its body: a worker that dies in between would leave nginx with half of it."""
    with serving(folder) as (_, path, _):
        get(path)
        for _ in range(20):
            with socket.socket(socket.AF_UNIX) as sock:
                sock.connect(str(path))
                sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
                assert sock.recv(65536).endswith(b"http 1")


def test_a_long_answer_arrives(folder: Path) -> None:
    (folder / "small.py").write_text(
        GOOD.replace('"body": body}', '"body": body + bytes(10**7)}').replace("len(body)", "len(body) + 10**7")
    )
    with serving(folder) as (_, path, _):
        assert len(get(path)) == len("http 1") + 10**7


BUSY = """
import time
def block():
    time.sleep(0.02)
"""


def test_who_was_let_in_is_answered_when_it_stops(folder: Path) -> None:
    (folder / "small.py").write_text(BUSY + GOOD.replace("    body = (", "    block()\n    body = ("))
    answered, hung_up, stopped = [], [], threading.Event()

    def ask(path: Path) -> None:
        while not stopped.is_set():
            try:
                answered.append(get(path, timeout=1))
            except TimeoutError:  # it waits for the next server
                return
            except ConnectionError as error:
                hung_up.append(error)

    with serving(folder) as (process, path, _):
        get(path)
        clients = [threading.Thread(target=ask, args=[path]) for _ in range(20)]
        for client in clients:
            client.start()
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        process.wait(20)
        stopped.set()
        for client in clients:
            client.join()
    assert answered
    assert not hung_up


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_survive_a_fork_is_named(folder: Path, name: str) -> None:
    code, says = BAD[name]
    module = folder / "small.py"
    module.write_text(code + GOOD)
    said = fails(folder)
    assert says.format(module=module) in said
    assert "APP_PRELOAD=false" in said


@pytest.mark.parametrize("name", FINE)
def test_what_is_over_after_the_import_is_fine(folder: Path, name: str) -> None:
    (folder / "small.py").write_text(FINE[name] + GOOD)
    with serving(folder) as (_, path, _):
        assert get(path) == "http 1"


def test_without_preload_the_same_app_runs(folder: Path) -> None:
    (folder / "small.py").write_text(BAD["thread"][0] + GOOD)
    with serving(folder, APP_PRELOAD="false") as (_, path, _):
        assert get(path) == "http 1"


@pytest.mark.parametrize("value", ["0", "abc", "-3", "99999"])
def test_a_number_of_workers_that_is_none_is_refused(folder: Path, value: str) -> None:
    said = fails(folder, WEB_CONCURRENCY=value)
    assert said.startswith(f"error: WEB_CONCURRENCY='{value}' is not a number of workers: type ")
    assert "Traceback" not in said


def test_an_app_that_cannot_start_stops_the_server(folder: Path) -> None:
    (folder / "small.py").write_text("async def app(scope, receive, send):\n    raise RuntimeError('no database')\n")
    began = time.monotonic()
    assert "no database" in fails(folder)
    assert time.monotonic() - began < 15


def test_a_server_that_drains_serves_on_and_tells_clients_to_close(folder: Path) -> None:
    with serving(folder, DRAIN_SECONDS="2") as (process, path, _), socket.socket(socket.AF_UNIX) as kept:
        get(path)
        kept.connect(str(path))
        answers = kept.makefile("rb")
        heads = []
        for number in range(2):
            kept.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            heads.append(b"".join(iter(answers.readline, b"\r\n")))
            answers.read(int(re.findall(rb"content-length: (\d+)", heads[number])[0]))
            if not number:
                process.send_signal(signal.SIGTERM)
                time.sleep(0.5)
        assert [b"connection: close" in head for head in heads] == [False, True]
        assert get(path), "a new connection"
        assert process.wait(20) == 0


def test_a_time_to_drain_that_cannot_be_is_refused() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "server", "x:app"], cwd=ROOT, env=os.environ | {"DRAIN_SECONDS": "3s"}, capture_output=True, text=True, check=False
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("error: DRAIN_SECONDS='3s' is not a time to drain: type whole seconds from 0 to 20")
