"""The disk of a VM as a real one is at a power cut: what was written and not flushed is gone.

A SIGKILL of QEMU alone loses nothing that QEMU had written, since that is in this machine's page cache. So nbdkit's cache filter is
between: it keeps writes to itself until a flush, and dies with QEMU.
"""

import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

READY_SECONDS = 30


class StoreError(RuntimeError):
    """nbdkit does not serve a disk; the text has its errors."""


@dataclass(frozen=True)
class Store:
    """A raw disk that nbdkit serves to one QEMU."""

    socket: Path
    _process: subprocess.Popen[bytes]

    @classmethod
    def serve(cls, disk: Path) -> Self:
        """Serve a raw disk. It dies with the caller.

        Raises:
            StoreError: nbdkit ends, or does not listen within READY_SECONDS.
        """
        socket, log = disk.with_suffix(".sock"), disk.with_suffix(".nbdkit.log")
        socket.unlink(missing_ok=True)
        command = [
            *("setpriv", "--pdeathsig", "KILL", "nbdkit", "--foreground", "--unix", str(socket)),
            *("--filter=cache", "file", str(disk), "cache=writeback"),
        ]
        with log.open("wb") as errors:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors)
        store, deadline = cls(socket, process), time.monotonic() + READY_SECONDS
        while not socket.is_socket():
            if process.poll() is not None or time.monotonic() > deadline:
                store.cut()
                raise StoreError(f"nbdkit does not serve {disk}: {log.read_text(errors='replace')[-1000:]}")
            time.sleep(0.01)
        return store

    @property
    def url(self) -> str:
        """Where QEMU finds it."""
        return f"nbd+unix:///?socket={self.socket}"

    def cut(self) -> None:
        """Cut the power."""
        self._process.kill()
        self._process.wait()
