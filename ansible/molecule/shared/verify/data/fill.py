"""Runs on the host, as root: while two releases serve, opens every connection that both of them may, and tells what it saw.

fill.py PATH: waits until both have a part of the traffic, holds the app's table so that each request keeps its connection,
asks both for PATH until PostgreSQL counts no more connections of the app for half a second, and lets go; after four seconds
at the latest, since the site's clients wait meanwhile.
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


def both() -> set[Path]:
    """The sockets of two releases that each have a slice of the traffic."""
    deadline = time.monotonic() + 150
    while time.monotonic() < deadline:
        found = {Path("/srv/app", name).resolve() for name in ("live.sock", "canary.sock")}
        if len(found) == 2:
            return found
        time.sleep(0.05)
    raise SystemExit("there were never two releases that served")


def connections(watcher: "subprocess.Popen[str]") -> int:
    """How many the app has."""
    return int(tell(watcher, "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app';"))


def main() -> None:
    """Fill, count, let go."""
    path = sys.argv[1]
    watcher, holder = psql("postgres"), psql("postgres")
    sockets = both()
    tell(holder, "BEGIN; LOCK TABLE links IN ACCESS EXCLUSIVE MODE; SELECT 'held';")
    began = grown = time.monotonic()
    clients: list[socket.socket] = []
    seen = 0
    # A few at a time: the kernel wakes whichever worker is free, and each has to get as many as it has connections.
    while (now := time.monotonic()) < min(began + 4, grown + 0.5):
        clients += [send(each, path) for each in sockets for _ in range(4)]
        time.sleep(0.05)
        if (count := connections(watcher)) > seen:
            seen, grown = count, now
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
                "asked": len(answers),
                "failed": [each for each in answers if each != 200],
            }
        )
    )


if __name__ == "__main__":
    main()
