"""Runs in the image under test, by the image's own Python: hands the app a listening socket as systemd does.

It is the container's first process, so that the app is not: the kernel keeps signals from a first process that has no
handler for them. The steps are told in a file, one per line. Python 3.7 has to understand this.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
RELEASE, WEB = Path("/.slipway/release"), Path("/.slipway/web")


def tell(step: str, value: int) -> None:
    """Add a line to what was done."""
    with (FOLDER / "told").open("a") as file:
        file.write(f"{step} {value}\n")


def start(script: Path, environment: dict[str, str], listener: socket.socket | None = None) -> int:
    """Start a script, with the socket as file descriptor 3 if there is one. Returns the process id."""
    process = os.fork()
    if process:
        return process
    try:
        if listener is not None:
            os.dup2(listener.fileno(), 3)
            os.set_inheritable(3, True)  # dup2 leaves it as it was if it had that number before
            environment.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES="app.socket")
        os.umask(0o077)
        os.chdir("/")
        os.execve(script, [str(script)], environment)
    except OSError as error:
        sys.stderr.write(f"{script}: {error}\n")
    os._exit(203)


def wait(process: int) -> int:
    """Wait until a process has ended, and bury all others. Returns its status, as a shell counts."""
    while True:
        ended, status = os.wait()
        if ended == process:
            return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


def main() -> None:
    """Run `release:`, if the Procfile has it, then the image's command."""
    environment = json.loads((FOLDER / "environment.json").read_text())
    if RELEASE.exists():
        status = wait(start(RELEASE, dict(environment)))
        tell("release", status)
        if status:
            sys.exit(status)
    path = Path(sys.argv[1])
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    path.chmod(0o666)  # who asks is another user, and reaches it through a folder of his own
    listener.listen(4096)
    app = start(WEB, dict(environment), listener)
    listener.close()
    signal.signal(signal.SIGTERM, lambda *_: os.kill(app, signal.SIGTERM))
    tell("web", app)
    status = wait(app)
    tell("ended", status)
    sys.exit(status)


main()
