"""Hand the app a listening socket as systemd does. The image's own Python runs this in the container.

This is the container's first process in place of the app: the kernel drops signals to a first process that has no
handler. The file `steps` gets one line per step. The code has to run on Python 3.7.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
import threading
import time
from pathlib import Path

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER))
from slipway.model import listeners  # noqa: E402 -- lies beside this file in the container, which -I leaves out

SCRIPTS = Path("/.slipway")
GONE_SECONDS = 0.3


def record(step: str, value: int) -> None:
    """Append a step to the file `steps`."""
    with (FOLDER / "steps").open("a") as file:
        file.write(f"{step} {value}\n")


def start(script: Path, environment: dict[str, str], listener: socket.socket | None = None) -> int:
    """Start a script, with the socket as file descriptor 3 if there is one. Returns the process id."""
    process = os.fork()
    if process:
        return process
    try:
        if listener is not None:
            os.dup2(listener.fileno(), 3)
            os.set_inheritable(3, True)  # dup2 changes nothing if the socket already has that number
            environment.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES="app.socket")
        os.umask(0o077)
        os.chdir("/")
        os.execve(script, [str(script)], environment)
    except OSError as error:
        sys.stderr.write(f"{script}: {error}\n")
    os._exit(203)


def status_of(status: int) -> int:
    """Convert a wait status to an exit status, as a shell does."""
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


def wait(process: int, others: dict[int, str]) -> int:
    """Wait until a process has ended, reap all others, and record the named ones. Returns the process's exit status."""
    while True:
        ended, status = os.wait()
        if ended == process:
            return status_of(status)
        if ended in others:
            record(f"process.{others.pop(ended)}", status_of(status))


def below(parent: int) -> list[int]:
    """List the processes that descend from a process and run."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            # After the name, which may have any character.
            state, number = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if state != "Z":
            parents[int(folder.name)] = int(number)
    found = [parent]
    for process in found:
        found += [child for child, number in parents.items() if number == process]
    return [process for process in found[1:] if process in parents]


def left_alive(processes: list[int]) -> int:
    """Count those of the processes that still run, once helpers that end with their server had the time to end."""
    time.sleep(GONE_SECONDS)
    running = below(os.getpid())
    return sum(process in running for process in processes)


def terminate(processes: list[int]) -> None:
    """Send SIGTERM to each process."""
    for process in processes:
        os.kill(process, signal.SIGTERM)


def own_ports() -> list[int]:
    """Read the ports that the app may listen on, in order of preference."""
    return [int(port) for port in (SCRIPTS / "ports").read_text().split()]


def forward(listener: socket.socket) -> None:
    """Forward connections from the socket to the app's port, once the app listens on a port and ignores the socket."""
    allowed, since = own_ports(), time.monotonic()
    before: list[int] = []
    while True:
        select.select([listener], [], [])
        found = listeners.open_ports(allowed, listeners.tcp_sockets())
        if found != before:
            since, before = time.monotonic(), found
        port = listeners.choose(allowed, found, time.monotonic() - since)
        time.sleep(listeners.GRACE_SECONDS)
        if port and select.select([listener], [], [], 0)[0]:
            break
    address = next(each.reached_at for each in listeners.listening(listeners.tcp_sockets()) if each.port == port)
    record("port", port)
    while True:
        client, _ = listener.accept()
        try:
            app = socket.create_connection((address, port))
        except OSError:
            client.close()
            continue
        for pair in ((client, app), (app, client)):
            threading.Thread(target=pump, args=pair, daemon=True).start()


def bring(port: int, path: str) -> None:
    """Bring a unix socket of PostgreSQL or the broker to a port of the loopback, as a host does for the app."""
    server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    server.bind(("127.0.0.1", port))
    server.listen(128)
    threading.Thread(target=serve, args=(server, path), daemon=True).start()


def serve(server: socket.socket, path: str) -> None:
    """Connect each client to a unix socket."""
    while True:
        client, _ = server.accept()
        data = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            data.connect(path)
        except OSError:
            client.close()
            continue
        for pair in ((client, data), (data, client)):
            threading.Thread(target=pump, args=pair, daemon=True).start()


def pump(source: socket.socket, target: socket.socket) -> None:
    """Copy bytes from source to target until the source closes."""
    try:
        while True:
            data = source.recv(65536)
            if not data:
                break
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def main() -> None:
    """Run `release:`, if the Procfile has that line, then the image's command, then the other processes."""
    plan = json.loads((FOLDER / "start.json").read_text())
    environments = plan["environments"]
    for port, data in plan["brought"].items():
        bring(int(port), data)
    if (SCRIPTS / "release").exists():
        status = wait(start(SCRIPTS / "release", dict(environments["migrate"])), {})
        record("release", status)
        if status:
            sys.exit(status)
    path = Path(sys.argv[1])
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    path.chmod(0o666)  # the prober is another user; the parent folder keeps all others out
    listener.listen(4096)
    app = start(SCRIPTS / "web", dict(environments["app"]), listener)
    threading.Thread(target=forward, args=(listener,), daemon=True).start()
    others = {start(SCRIPTS / name, dict(environments[name])): name for name in plan["processes"]}
    servers: list[int] = []

    def stop(*_: object) -> None:
        servers.extend(below(app))
        terminate([app, *others])

    signal.signal(signal.SIGTERM, stop)
    record("web", app)
    status = wait(app, others)
    left = left_alive(servers)
    if left:
        record("left", left)
    record("ended", status)
    sys.exit(status)


main()
