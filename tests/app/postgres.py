"""A private Postgres for the tests: its own folder, a Unix socket, gone afterwards."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def binaries() -> Path | None:
    """Debian keeps the server's programs out of PATH, one folder per version."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    if found:
        return found[-1].parent
    return Path(path).parent if (path := shutil.which("initdb")) else None


@contextmanager
def cluster() -> Iterator[str]:
    folder = binaries()
    if folder is None:
        pytest.skip("no Postgres server here (apt install postgresql): the app was NOT tested on Postgres")
    root = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))  # short: a socket's path has 107 bytes at most
    user = None
    if os.geteuid() == 0:  # Postgres refuses to run as root
        user = pwd.getpwnam("nobody").pw_name
        shutil.chown(root, user)

    def run(*command: str) -> None:
        done = subprocess.run(
            [str(folder / command[0]), *command[1:]], user=user, cwd=root, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    data = str(root / "data")
    run("initdb", "-D", data, "-U", "app", "--auth=trust", "--no-sync", "-E", "UTF8")
    run(
        "pg_ctl",
        "-D",
        data,
        "-w",
        "-l",
        str(root / "log"),
        "-o",
        f"-k {root} -c listen_addresses='' -c fsync=off",
        "start",
    )
    try:
        yield f"postgres://app@/postgres?host={root}"
    finally:
        run("pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")
        shutil.rmtree(root)
