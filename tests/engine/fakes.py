"""A host without systemd and nginx: instances are threads that really listen on the releases' sockets."""

import json
import os
import shutil
import socket
import socketserver
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, cast

from slipway.engine import decision, seal
from slipway.engine.crashes import Crashes
from slipway.engine.errors import SystemdError
from slipway.engine.host import Host
from slipway.engine.probe import Answer, Front, get_from_socket
from slipway.engine.releases import NOTHING, Releases
from slipway.engine.systemd import Cursor, Entry, Systemd, UnitState
from slipway.model.errors import SlipwayError
from slipway.model.record import Record, Request


@dataclass
class Behaviour:
    """What a release does when it is started and gets requests."""

    start_error: str | None = None
    """The error of systemctl, when it does not start."""
    crashes: bool = False
    process_crashes: str | None = None
    """The process besides the web server that crashes: `worker` or `beat`."""
    answers: bool = True
    """False: it holds its socket and takes nothing from it."""
    port: int | None = None
    """It listens on this port of the loopback by itself, and takes nothing from its socket unless a proxy does."""
    accepts_after: float = 0
    """Seconds after which it takes something from its socket."""
    not_ready_for: int = 0
    """How many times it answers 503 before it is ready."""
    broken_when_live: bool = False
    """It answers 500 to requests through nginx."""
    reports: str | None = None
    """The release that /version reports; None: its own."""
    migration: str = "succeeds"
    """succeeds, fails or hangs."""
    output: tuple[str, ...] = ()
    """Its lines in the journal."""
    crashed: Crashes | None = None
    """What systemd logged of its web server."""


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, path: Path, release: str, behaviour: Behaviour) -> None:
        self.release, self.behaviour, self.requests = release, behaviour, 0
        path.unlink(missing_ok=True)
        super().__init__(str(path), _Handler)
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.005}, daemon=True)
        self.listener: socket.socket | None = None
        if behaviour.port:
            self.listener = socket.create_server(("127.0.0.1", behaviour.port))
        elif behaviour.answers:
            self.serve(behaviour.accepts_after)

    def serve(self, after: float = 0) -> None:
        """Take connections from the socket, `after` so many seconds."""
        if after:
            threading.Timer(after, self.serve).start()
        elif not self.thread.ident:
            self.thread.start()

    def close(self) -> None:
        if self.thread.is_alive():
            self.shutdown()
            self.thread.join()
        self.server_close()
        if self.listener:
            self.listener.close()
        with suppress(FileNotFoundError):
            Path(str(self.server_address)).unlink()


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self.server.requests += 1
        behaviour = self.server.behaviour
        if self.path == "/version":
            self._answer(200, {"release": behaviour.reports or self.server.release})
        elif self.path != "/readyz":
            self._answer(404, {"error": "no such page"})
        elif self.headers["Host"] == "nginx" and behaviour.broken_when_live:
            self._answer(500, {"error": "it broke under traffic"})
        elif self.server.requests <= behaviour.not_ready_for:
            self._answer(503, {"error": "warming up"})
        else:
            self._answer(200, {"status": "ready", "release": self.server.release})

    def _answer(self, status: int, values: dict[str, str]) -> None:
        body = json.dumps(values).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        pass


class FakeSystemd(Systemd):
    """Starts, stops and shows units as systemd would, and keeps the `calls` in order."""

    def __init__(self, releases: Releases) -> None:
        self.releases = releases
        self.behaviours: dict[str, Behaviour] = {}
        self.calls: list[str] = []
        self.journals_since: list[str | None] = []
        self.at: list[float] = []
        """When each call came (monotonic seconds)."""
        self.unwaited: list[str] = []
        self.states: dict[str, str] = {}
        self.servers: dict[str, _Server] = {}
        self.before_call: Callable[[str], None] = lambda _call: None
        self.stop_error: str | None = None
        self.results: dict[str, tuple[str, float]] = {}
        """The last results of units that run to an end, and when they ended."""
        self.one_off = [Entry("Deactivated", by_unit=False, end=True)]
        """The journal's lines of a one-off command."""
        self.unsynced: list[Entry] = []
        """What the journal has only once it is synced."""
        self.unsynced_output: list[str] = []
        """The same, of every other unit."""
        self.synced_output: list[str] = []
        self.journald_hangs = False
        self.one_off_hangs = False
        self.nginx_output: list[str] = []
        self.runtime_units = releases.root / "runtime-units"
        self.variables: dict[str, str] = {}

    def behaviour(self, unit: str) -> Behaviour:
        return self.behaviours.get(_release(unit), Behaviour())

    def start(self, *units: str, wait: bool = True, timeout: float = 120) -> None:
        for unit in units:
            self._start(unit, wait)

    def stop(self, *units: str, wait: bool = True, timeout: float = 120) -> None:
        for unit in units:
            self._note(f"stop {unit}", wait)
            self.states[unit] = "inactive"
            if unit.endswith(".service") and (server := self.servers.pop(unit, None)):
                server.close()
        if self.stop_error:
            raise SystemdError(self.stop_error)

    def restart(self, *units: str, timeout: float = 120) -> None:
        for unit in units:
            self._note(f"restart {unit}", wait=True)

    def environment(self, unit: str) -> dict[str, str]:
        return self.variables

    def state(self, unit: str) -> UnitState:
        active = self.states.get(unit, "inactive")
        behaviour = self.behaviour(unit)
        broken = "app@" if behaviour.crashes else f"app-{behaviour.process_crashes}."
        crashed = active == "active" and unit.endswith(".service") and unit.startswith(broken)
        return UnitState(active, "running", int(crashed), 3 if crashed else 0)

    def crashes(self, unit: str, since: float) -> Crashes:
        crashed = self.behaviour(unit).crashed if unit.startswith("app@") else None
        return crashed or Crashes()

    def crash_events(self, since: float, limit: int = 1000) -> list[dict[str, Any]]:
        return []

    def memory(self, unit: str) -> dict[str, int | None]:
        return {"current": 1 << 20, "peak": None, "max": None}

    def memory_max(self, unit: str) -> str:
        return "512 MiB"

    def result(self, unit: str) -> tuple[str, float] | None:
        return self.results.get(unit)

    def loaded(self, pattern: str) -> list[str]:
        return [unit for unit, active in self.states.items() if fnmatchcase(unit, pattern) and active != "inactive"]

    def journal(self, unit: str, lines: int = 30, since: str | None = None) -> list[str]:
        if unit == "nginx.service":
            return self.nginx_output[-lines:]
        self.journals_since.append(since)
        return [*self.behaviour(unit).output, *self.synced_output][-lines:]

    def cursor(self) -> Cursor:
        return "0", ""

    def entries_since(self, unit: str, cursor: Cursor) -> tuple[list[Entry], Cursor]:
        entries = self.one_off[int(cursor[0]) :]
        if not self.one_off_hangs:
            self.states[unit] = "inactive"
        return entries, (str(len(self.one_off)), "")

    def main_process(self, unit: str) -> int:
        """This process, in whose network those instances that do so by themselves really listen."""
        behaviour = self.behaviour(unit)
        listens = behaviour.port or behaviour.accepts_after
        return os.getpid() if self.states.get(unit) == "active" and listens else 0

    def running(self) -> set[str]:
        """The releases whose instance is up."""
        return {_release(unit) for unit in (*self.loaded("app@*.service"), *self.loaded("app@*.socket"))}

    def processes(self) -> set[str]:
        """The processes that are up, besides web servers: `worker.1@<release>`."""
        return {unit.removeprefix("app-").removesuffix(".service") for unit in self.loaded("app-*@*.service")}

    def close(self) -> None:
        for server in self.servers.values():
            server.close()
        self.servers.clear()

    def _start(self, unit: str, wait: bool) -> None:
        if unit.startswith("journal-sync@"):
            if self.journald_hangs:
                raise SystemdError("not done in time")
            self.one_off, self.unsynced = self.one_off + self.unsynced, []
            self.synced_output, self.unsynced_output = self.synced_output + self.unsynced_output, []
            return
        if self._sealer_does(*unit.removesuffix(".service").split("@")):
            return
        self._note(f"start {unit}", wait)
        if unit.startswith("scale@"):
            self._scale(*unit.removesuffix(".service").removeprefix("scale@").split(":"))
            return
        behaviour = self.behaviour(unit)
        if unit.startswith("migrate@"):
            self.states[unit] = "activating" if behaviour.migration == "hangs" else "inactive"
            if error := {"fails": "Job failed", "hangs": "not done in time"}.get(behaviour.migration):
                raise SystemdError(error)
            return
        if unit.startswith("app@") and unit.endswith(".service"):
            if behaviour.start_error:
                self.states[unit] = "failed"
                raise SystemdError(behaviour.start_error)
            if unit not in self.servers:
                release = _release(unit)
                self.servers[unit] = _Server(self.releases.socket(release), release, behaviour)
        if unit.startswith("proxy@"):
            self.servers[unit.replace("proxy@", "app@")].serve()
        self.states[unit] = "active"

    def _scale(self, release: str, count: str) -> None:
        """What slipway/bin/scale does."""
        drop_in = self.runtime_units / f"app@{release}.service.d/60-workers.conf"
        drop_in.parent.mkdir(parents=True, exist_ok=True)
        drop_in.write_text(f"[Service]\nEnvironment=WEB_CONCURRENCY={count}\n")
        if count == "0":
            drop_in.unlink()

    def _sealer_does(self, unit: str, *instance: str) -> bool:
        """What the units of the user `sealer` do is done at once, and is no call."""
        release = instance[0] if instance else ""
        try:
            if unit == "seal":
                seal.seal(self.releases, release)
            elif unit == "remove":
                seal.remove(self.releases, release)
            elif unit.startswith("point-"):
                self.releases.set_slice(unit.removeprefix("point-"), None if release == NOTHING else release)
            elif unit == "command":
                script = self.releases.path(release) / ".slipway/run"
                shutil.copy(self.releases.command_file(release), script)
                script.chmod(0o755)
            else:
                return False
        except (SlipwayError, OSError) as error:
            raise SystemdError(f"Job for {unit} failed: {error}") from None
        return True

    def _note(self, call: str, wait: bool) -> None:
        self.before_call(call)
        self.calls.append(call)
        self.at.append(time.monotonic())
        if not wait:
            self.unwaited.append(call)


def fails(error: str) -> Callable[..., None]:
    """A start or a stop that fails."""

    def fail(*_units: str, **_options: Any) -> None:
        raise SystemdError(error)

    return fail


def _release(unit: str) -> str:
    return unit.split("@")[1].rsplit(".", 1)[0]


@dataclass
class FakeFront(Front):
    """nginx: the release that the link of the live slice points at answers."""

    releases: Releases
    answered_by: list[str | None] = field(default_factory=list)

    def get(self, url: str, url_path: str, host: str, timeout: float = 5, scheme: str = "http") -> Answer:
        live = self.releases.slice("live")
        self.answered_by.append(live)
        if live is None:
            return Answer(502, "Bad Gateway")
        # The Host header marks the request as one through nginx.
        return get_from_socket(self.releases.root / "live.sock", url_path, "nginx", timeout, scheme)


@dataclass
class FakeHost(Host):
    """A host whose services are fakes that can be scripted."""

    systemd: FakeSystemd = field(kw_only=True)
    front: FakeFront = field(kw_only=True)

    def ship(self, release: str, behaviour: Behaviour | None = None, **record: Any) -> str:
        """Put a release on disk, as shipping leaves it."""
        scripts = self.releases.path(release) / ".slipway"
        scripts.mkdir(parents=True)
        for name in ("web", "process", "worker", "beat"):
            (scripts / name).write_text("#!/bin/sh\n")
        self.releases.save(Record(release=release, request=Request(by="alice")))
        if record:
            self.change(release, **record)
        self.systemd.behaviours[release] = behaviour or Behaviour()
        return release

    def change(self, release: str, **values: Any) -> None:
        """Change a record on disk: `values` are those of its JSON document."""
        record = self.releases.record(release)
        changed = Record.from_json(release, record.to_json() | values)
        self.releases.save(changed)

    def takes_every_phase(self, release: str) -> None:
        """Let its activation back up, migrate, be watched, hand over what runs once, and be held and confirmed."""
        self.has_migrations(release)
        self.has_processes()
        self.site = replace(self.site, watch_seconds=cast("int", 0.005), backup=True)
        self.change(release, request=Request(by="alice", hold=5).to_json())
        decision.confirm(self, release)

    def has_processes(self) -> None:
        """Let it be provisioned for two workers and, once on all hosts, beat."""
        self.site = replace(self.site, processes={"worker": 2}, single_processes=["beat"])

    def has_migrations(self, release: str) -> None:
        (self.releases.path(release) / ".slipway/release").write_text("#!/bin/sh\n")
