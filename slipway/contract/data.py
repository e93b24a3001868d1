"""Run a temporary PostgreSQL and Valkey beside the app under test, configured as on a host of the group `data`."""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from slipway.controller.image.errors import ImageError

NAMES = ("postgres", "valkey")
START_SECONDS = 20
POSTGRESQL = Path("/usr/lib/postgresql")
ROLES = """
create role app_migrate login;
create role app login;
create database app owner app_migrate;
revoke all on database app from public;
grant connect on database app to app;
\\connect app
alter default privileges for role app_migrate grant select, insert, update, delete on tables to app;
alter default privileges for role app_migrate grant usage, select, update on sequences to app;
"""
"""Roles and privileges, as in ansible/roles/data/templates/access.sql.j2. Identities are not verified: Docker's users
are not this machine's, so a wrong user in a URL shows on a host only."""


BESIDE = "{} of this machine runs beside the app while it is checked, and none is installed."


def require(names: list[str]) -> None:
    """Look for the programs of the named services.

    Raises:
        ImageError: one is not installed.
    """
    if "postgres" in names:
        _initdb()
    if "valkey" in names:
        _broker()


@contextmanager
def beside(names: list[str]) -> Iterator[dict[str, str]]:
    """Start the named services. Yields folders with sockets: the path on this machine, and the path in the release.

    Raises:
        ImageError: a program is missing, or does not start.
    """
    with ExitStack() as stack:
        mounts = {}
        if "postgres" in names:
            mounts[str(stack.enter_context(_postgres()))] = "/run/postgresql"
        if "valkey" in names:
            mounts[str(stack.enter_context(_valkey()))] = "/run/broker"
        yield mounts


@contextmanager
def _folder() -> Iterator[tuple[Path, str | None]]:
    """Create a folder, and choose the user to run as, since PostgreSQL refuses root.

    The path is short because a socket's path has at most 107 bytes.
    """
    folder = Path(tempfile.mkdtemp(prefix="slipway-", dir="/tmp"))
    folder.chmod(0o755)
    user = pwd.getpwnam("nobody").pw_name if os.geteuid() == 0 else None
    if user:
        shutil.chown(folder, user)
    try:
        yield folder, user
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _initdb() -> Path:
    # Debian keeps the server's programs out of PATH, one folder per version.
    found = sorted(POSTGRESQL.glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    initdb = found[-1] if found else Path(shutil.which("initdb") or "")
    if not initdb.name:
        raise ImageError(f"{BESIDE.format('a PostgreSQL')} Type: sudo apt-get install postgresql")
    return initdb


def _broker() -> str:
    # Debian has the same program under the second name in redis-tools, a package without a service that starts at boot.
    names = ("valkey-server", "redis-server", "valkey-check-rdb", "redis-check-rdb")
    program = next((path for name in names if (path := shutil.which(name))), None)
    if not program:
        raise ImageError(f"{BESIDE.format('a Valkey')} Type: sudo apt-get install redis-tools")
    return program


@contextmanager
def _postgres() -> Iterator[Path]:
    initdb = _initdb()
    with _folder() as (folder, user):

        def run(program: str, *arguments: str, stdin: str | None = None) -> None:
            command = [str(initdb.with_name(program)), *arguments]
            done = subprocess.run(
                command, user=user, cwd=folder, input=stdin, capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise ImageError(f"--with postgres: {program} failed: {done.stdout}{done.stderr}")

        data = str(folder / "data")
        run("initdb", "-D", data, "-U", "postgres", "--auth=trust", "--no-sync", "-E", "UTF8")
        options = f"-k {folder} -c listen_addresses='' -c fsync=off -c unix_socket_permissions=0777"
        run("pg_ctl", "-D", data, "-w", "-l", str(folder / "log"), "-o", options, "start")
        try:
            run("psql", "-h", str(folder), "-U", "postgres", "-q", "-v", "ON_ERROR_STOP=1", stdin=ROLES)
            yield folder
        finally:
            run("pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")


@contextmanager
def _valkey() -> Iterator[Path]:
    program = _broker()
    with _folder() as (folder, user):
        socket = folder / "broker.sock"
        name = "valkey-server" if "valkey" in program else "redis-server"
        options = ["--port", "0", "--unixsocket", str(socket), "--unixsocketperm", "777", "--save", ""]
        process = subprocess.Popen(
            [name, *options], executable=program, cwd=folder, user=user, stdout=subprocess.DEVNULL
        )
        try:
            deadline = time.monotonic() + START_SECONDS
            while not socket.exists():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise ImageError(f"--with valkey: {name} did not start within {START_SECONDS} s")
                time.sleep(0.05)
            yield folder
        finally:
            process.terminate()
            process.wait()
