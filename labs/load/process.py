"""A load that runs in the background: one process of Locust, and the folder with what its requests met."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labs.command import ROOT, LabError

CLIENTS = Path(__file__).with_name("clients.py")
DIRECTORY = ROOT / ".cache/load"
START_SECONDS = 20
STOP_SECONDS = 65
"""For requests in flight: a little more than a client's timeout."""
LEAD_SECONDS = 4
"""Of load before the block of `under_load` and after it, to see the usual."""


class LoadError(LabError):
    """A load did not start or does not exist; the text says what to look at."""


@dataclass(frozen=True)
class Options:
    """What a load sends."""

    url: str
    rate: float = 150.0
    """Requests per second of all clients together."""
    host_header: str = ""
    """Of each request; the URL's host if empty."""
    paths: str = ""
    """Pairs of status and path, `200 /about 404 /nowhere`: GET these instead of using the link shortener."""
    every_method_at: str = ""
    """A path that gets requests of every method, too."""
    client_rate: float = 0.0
    """Requests per second of one client; 0: as its class says. Many slow clients are an open-loop load: a stall that
    is shorter than a client's period delays no request of another client."""
    max_seconds: int = 3600
    niceness: int = 0
    """Of the process. Below 0 (root's alone) a busy machine delays the server, not the measuring client."""

    def arguments(self) -> list[str]:
        """Return the command-line options of clients.py."""
        return [
            *("--host", self.url.rstrip("/")),
            *("--run-time", f"{self.max_seconds}s"),
            *("--rate", f"{self.rate:g}"),
            *("--client-rate", f"{self.client_rate:g}"),
            *("--host-header", self.host_header),
            *("--paths", self.paths),
            *("--every-method-at", self.every_method_at),
        ]


class Load:
    """One load, named by its folder: requests.jsonl, failures.jsonl, marks.jsonl, log, pid.json."""

    def __init__(self, folder: Path) -> None:
        """Name the load; nothing is read yet."""
        self.folder = folder
        self._pid_file = folder / "pid.json"
        self._process: subprocess.Popen[bytes] | None = None

    def pid(self) -> int | None:
        """Return the process id while the load runs."""
        try:
            record = json.loads(self._pid_file.read_text())
        except FileNotFoundError:
            return None
        return record["pid"] if started_at(record["pid"]) == record["started"] else None

    def cpu_seconds(self) -> float:
        """Return the CPU time that the process has used; 0 if it does not run."""
        pid = self.pid()
        if pid is None:
            return 0.0
        user, system = process_fields(pid)[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def lines(self, name: str) -> list[dict[str, Any]]:
        """Read a JSON Lines file of the folder; a last line that is still being written is left out."""
        return read_lines(self.folder / name)

    def start(self, options: Options) -> int:
        """Start the load and return its process id after the first response.

        Raises:
            LoadError: a load of this name runs, or no response came within START_SECONDS.
        """
        if self.pid():
            raise LoadError(f"a load of this name runs already: {self.folder}")
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        nice = ["nice", f"--adjustment={options.niceness}"] if options.niceness else []
        locust = [sys.executable, "-m", "locust", "--locustfile", str(CLIENTS), "--headless", "--only-summary"]
        limits = ["--loglevel", "WARNING", "--stop-timeout", str(STOP_SECONDS), "--log-directory", str(self.folder)]
        # Without LOCUST_* variables of the caller, which would change the load.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("LOCUST_")}
        with (self.folder / "log").open("wb") as log:
            process = self._process = subprocess.Popen(
                [*nice, *locust, *limits, *options.arguments()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=ROOT,
                env=environment | {"PYTHONDONTWRITEBYTECODE": "1"},
            )
        self._pid_file.write_text(json.dumps({"pid": process.pid, "started": started_at(process.pid)}))
        deadline = time.monotonic() + START_SECONDS
        while not self.lines("requests.jsonl"):
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                process.wait()
                raise LoadError(f"the load did not start; its log:\n{(self.folder / 'log').read_text()[-2000:]}")
            time.sleep(0.1)
        return process.pid

    def mark(self, text: str) -> None:
        """Note that a phase begins now.

        Raises:
            LoadError: there is no such load.
        """
        self._require()
        with (self.folder / "marks.jsonl").open("a") as marks:
            marks.write(json.dumps({"t": round(time.time(), 3), "mark": text}) + "\n")

    def stop(self) -> list[str]:
        """End the load after its requests in flight. Returns what was wrong with its process: empty if nothing.

        Raises:
            LoadError: there is no such load.
        """
        pid = self.pid()
        if pid is None:
            self._require()
            self._reap()
            return ["the load had ended before it was stopped"]
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS + 5
        while self.pid() and time.monotonic() < deadline:
            time.sleep(0.1)
        killed = self.pid()
        if killed:
            os.kill(killed, signal.SIGKILL)
        self._reap()
        self._pid_file.unlink(missing_ok=True)
        return ["the load did not end on SIGTERM"] if killed else []

    def _reap(self) -> None:
        """Collect the exit status of a process that this object started."""
        if self._process:
            self._process.wait()

    def _require(self) -> None:
        if not self.folder.is_dir():
            raise LoadError(f"no such load: {self.folder}")


@contextmanager
def under_load(folder: Path, options: Options, lead_seconds: float = LEAD_SECONDS) -> Iterator[Load]:
    """Run a load while the block runs, and for `lead_seconds` before and after.

    Failed requests are left to the caller, who knows which are expected.

    Raises:
        LoadError: the load did not start, or ended by itself.
    """
    load = Load(folder)
    load.start(options)
    problems: list[str] = []
    try:
        time.sleep(lead_seconds)
        yield load
        time.sleep(lead_seconds)
    finally:
        problems = load.stop()
    if problems:
        raise LoadError(f"{problems[0]}: see {folder / 'log'}")


def started_at(pid: int) -> str | None:
    """Return a process's start in ticks since boot, None once it has ended. With its pid this identifies a process."""
    try:
        fields = process_fields(pid)
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else fields[19]


def process_fields(pid: int) -> list[str]:
    """Return /proc/PID/stat from the third field, the state, on."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Read JSON Lines; none if there is no file, and no last line without its newline."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]
