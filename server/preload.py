"""Names what an app left behind at import that does not survive a fork.

gunicorn imports the app once and forks the workers from it, which halves their memory. A thread exists only in the
process that started it, a socket or an event loop would be shared by all workers: such an app seems to work and then
hangs. So the master looks before the first fork, and refuses to start.
"""

import asyncio
import os
import socket
import sys
import sysconfig
import threading
import time
import traceback
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

LIBRARIES = tuple({sysconfig.get_path("stdlib"), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
ADVICE = "move it into the app's lifespan, which runs in each worker, or set app_preload: false (APP_PRELOAD=false)"

LAST_MOMENTS = 1.0
"""Seconds that what is about to end gets: the kernel lists a thread a moment longer than `join` waits for it."""


class Watch:
    """What was there before the import, and where new threads and sockets came from."""

    def __init__(self) -> None:
        self.threads = {thread.ident for thread in threading.enumerate()}
        self.tasks = _tasks()
        self.files = _files()
        self.active = True
        self._started: weakref.WeakKeyDictionary[threading.Thread, str] = weakref.WeakKeyDictionary()
        self._sockets: list[tuple[weakref.ref[socket.socket], str]] = []
        self._start = threading.Thread.start
        threading.Thread.start = self._note_thread()  # type: ignore[method-assign,assignment]
        sys.addaudithook(self._note_socket)

    def _note_thread(self) -> Callable[[threading.Thread], None]:
        def start(thread: threading.Thread) -> None:
            self._started[thread] = _origin()
            self._start(thread)

        return start

    def _note_socket(self, event: str, args: tuple[Any, ...]) -> None:
        if self.active and event == "socket.__new__" and isinstance(args[0], socket.socket):
            self._sockets.append((weakref.ref(args[0]), _origin()))

    def end(self) -> None:
        """Stop watching; an audit hook cannot be removed, only told to do nothing."""
        self.active = False
        threading.Thread.start = self._start  # type: ignore[method-assign]

    def found(self) -> list[str]:
        """List what the import left, each by its name and the line that made it."""
        named = [thread for thread in threading.enumerate() if thread.ident not in self.threads]
        found = [f"thread {thread.name!r} started at import{self._started.get(thread, '')}" for thread in named]
        natives = _tasks() - self.tasks - {thread.native_id for thread in named}
        found += [f"a native thread {_comm(native)!r} started at import" for native in sorted(natives)]

        places = {sock.fileno(): place for ref, place in self._sockets if (sock := ref())}
        for number, target in sorted(_files().items()):
            if self.files.get(number) == target:
                continue
            if target.startswith("socket:"):
                found.append(f"a socket (file descriptor {number}) opened at import{places.get(number, '')}")
            elif target == "anon_inode:[eventpoll]":
                found.append(f"an event loop (file descriptor {number}) created at import")
        if asyncio._get_running_loop() is not None:
            found.append("an event loop is running at import")
        return found


_watch: Watch | None = None


def watch() -> None:
    """Remember how this process is now, before the app is imported."""
    global _watch
    _watch = Watch()


def check() -> None:
    """End this process, naming each offender, if the import left one."""
    if _watch is None:  # preload was turned on after the configuration was read: nothing to compare with
        return
    deadline = time.monotonic() + LAST_MOMENTS
    while (found := _watch.found()) and time.monotonic() < deadline:
        time.sleep(0.02)
    _watch.end()
    if found:
        lines = "\n".join(f"  - {line}" for line in found)
        message = f"error: the app cannot be preloaded, for its import left what a fork breaks:\n{lines}\n{ADVICE}"
        print(message, file=sys.stderr, flush=True)
        os._exit(1)  # the ordinary exit would wait for those threads


def _origin() -> str:
    """Say which line of the app (not of a library) is running."""
    for frame in reversed(traceback.extract_stack()):
        if not frame.filename.startswith((*LIBRARIES, "<", str(Path(__file__).parent))):
            return f" by {frame.filename}:{frame.lineno}"
    return ""


def _files() -> dict[int, str]:
    """Give what each open file descriptor of this process is."""
    files = {}
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 -- the names, not paths
        try:
            files[int(name)] = os.readlink(f"/proc/self/fd/{name}")  # noqa: PTH115
        except OSError:  # the descriptor that listed the folder
            continue
    return files


def _tasks() -> set[int]:
    """Give the kernel's ids of this process's threads, also those that Python does not know."""
    return {int(name) for name in os.listdir("/proc/self/task")}  # noqa: PTH208


def _comm(task: int) -> str:
    try:
        return Path(f"/proc/self/task/{task}/comm").read_text().strip()
    except OSError:
        return "?"
