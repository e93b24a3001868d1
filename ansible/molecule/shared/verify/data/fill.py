"""Runs on the host, as root: while two releases run, opens every connection that both of them may, and tells what it saw.

fill.py EXPECTED REQUESTS PATH: waits for two releases that are ready, holds the app's table so that each request keeps its
connection, asks each release for PATH that many times, and lets go when PostgreSQL counts EXPECTED connections of the app, or after
eight seconds.
"""

import json
import socket
import subprocess
import sys
import time
from pathlib import Path


def psql(user: str) -> "subprocess.Popen[str]":
    """A session of a user of the host."""
    command = ["runuser", "-u", user, "--", "psql", "--no-psqlrc", "-qAt", "-d", "app"]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
    )


def tell(session: "subprocess.Popen[str]", statement: str) -> str:
    """Make a statement; return the one line that it answers, or what went wrong."""
    assert session.stdin and session.stdout and session.stderr
    try:
        session.stdin.write(statement + "\n")
        return session.stdout.readline().strip() or session.stderr.read().strip()
    except BrokenPipeError:
        return session.stderr.read().strip()


def send(path: Path, target: str) -> socket.socket:
    """Ask a release, without waiting for its answer."""
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(40)
    client.connect(str(path))
    client.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    return client


def status(client: socket.socket) -> int:
    """The status of its answer."""
    with client:
        line = client.makefile("rb").readline().split()
    return int(line[1]) if line else 0


def both() -> list[Path]:
    """The sockets of two releases that are ready."""
    deadline = time.monotonic() + 150
    while time.monotonic() < deadline:
        found = sorted(Path("/run/app").glob("*.sock"))
        if len(found) == 2 and all(status(send(path, "/readyz")) == 200 for path in found):
            return found
        time.sleep(0.05)
    raise SystemExit("there were never two releases that were ready")


def main() -> None:
    """Fill, count, let go."""
    expected, requests = int(sys.argv[1]), int(sys.argv[2])
    watcher, holder = psql("postgres"), psql("postgres")
    sockets = both()
    tell(holder, "BEGIN; LOCK TABLE links IN ACCESS EXCLUSIVE MODE; SELECT 'held';")
    began = time.monotonic()
    clients = [send(path, sys.argv[3]) for _ in range(requests) for path in sockets]
    seen = 0
    while seen < expected and time.monotonic() < began + 8:
        seen = int(tell(watcher, "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app';"))
    # What is kept back is there now: for people, and for migrations.
    others = {user: tell(psql(user), "SELECT 'connected';") for user in ("postgres", "app_migrate")}
    total = tell(watcher, "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend';")
    tell(holder, "COMMIT; SELECT 'let go';")
    held = time.monotonic() - began
    answers = [status(client) for client in clients]
    print(
        json.dumps(
            {
                "connections": seen,
                "total": int(total),
                "others": others,
                "held": round(held, 2),
                "failed": [each for each in answers if each != 200],
            }
        )
    )


if __name__ == "__main__":
    main()
