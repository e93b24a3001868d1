"""A private Valkey or Redis for the tests: its own folder, a Unix socket, gone afterwards."""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

SERVERS = {"valkey-check-rdb": "valkey-server", "redis-check-rdb": "redis-server"}
"""One program with several names. Debian has this one in a package without a service, which would start at boot."""


class Broker:
    """A broker that can be killed and started again, and writes down what it holds as one on a host does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"redis+socket://{folder}/socket"
        self.client = redis.Redis(unix_socket_path=str(folder / "socket"))
        self.start()

    def start(self) -> None:
        program, name = next(((path, name) for file, name in SERVERS.items() if (path := shutil.which(file))), ("", ""))
        if not program:
            pytest.skip("no Valkey or Redis here (apt install redis-tools): the task queue was NOT tested")
        self.process = subprocess.Popen(
            [name, "--port", "0", "--unixsocket", "socket", "--appendonly", "yes", "--save", ""],
            executable=program, cwd=self.folder, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        limit = time.monotonic() + 20
        while time.monotonic() < limit:
            try:
                self.client.ping()
            except redis.RedisError:
                time.sleep(0.05)
            else:
                return
        raise AssertionError("the broker did not start")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@contextmanager
def broker() -> Iterator[Broker]:
    folder = Path(tempfile.mkdtemp(prefix="broker-", dir="/tmp"))  # short: a socket's path has 107 bytes at most
    try:
        running = Broker(folder)
        yield running
        running.client.close()
        running.kill()
    finally:
        shutil.rmtree(folder)
