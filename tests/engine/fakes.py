"""A host without systemd and nginx: instances are threads that really listen on the releases' sockets."""

import json
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

from slipway import decision
from slipway.host import Host
from slipway.probe import Answer, Front, ask_socket
from slipway.releases import Record, Releases
from slipway.systemd import Entry, Systemd, UnitState


@dataclass
class Behaviour:
    """What a release does when it is started and asked."""

    refuses_to_start: str | None = None
    """What systemctl says of it, when it does not start."""
    crashes: bool = False
    process_crashes: str | None = None
    """The process besides the web server that crashes: `worker` or `beat`."""
    answers: bool = True
    """False: it holds its socket and takes nothing from it."""
    not_ready_for: int = 0
    """How many times it says 503 before it is ready."""
    broken_when_live: bool = False
    """It says 500 to what comes through nginx."""
    tells: str | None = None
    """The release that /version tells; None: its own."""
    migration: str = "succeeds"
    """succeeds, fails or hangs."""
    says: tuple[str, ...] = ()
    """Its lines in the journal."""


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, path: Path, release: str, behaviour: Behaviour) -> None:
        self.release, self.behaviour, self.asked = release, behaviour, 0
        path.unlink(missing_ok=True)
        super().__init__(str(path), _Handler)
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.005}, daemon=True)
        if behaviour.answers:
            self.thread.start()

    def close(self) -> None:
        if self.thread.is_alive():
            self.shutdown()
            self.thread.join()
        self.server_close()
        with suppress(FileNotFoundError):
            Path(str(self.server_address)).unlink()


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self.server.asked += 1
        behaviour = self.server.behaviour
        if self.path == "/version":
            self._say(200, {"release": behaviour.tells or self.server.release})
        elif self.path != "/readyz":
            self._say(404, {"error": "no such page"})
        elif self.headers["Host"] == "nginx" and behaviour.broken_when_live:
            self._say(500, {"error": "it broke under traffic"})
        elif self.server.asked <= behaviour.not_ready_for:
            self._say(503, {"error": "warming up"})
        else:
            self._say(200, {"status": "ready", "release": self.server.release})

    def _say(self, status: int, values: dict[str, str]) -> None:
        body = json.dumps(values).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        pass


class FakeSystemd(Systemd):
    """Starts, stops and shows units as systemd would; what it was asked is in `calls`, in order."""

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
        self.stop_says: str | None = None
        self.results: dict[str, tuple[str, float]] = {}
        """How units that run to an end ended last, and when."""
        self.one_off: list[Entry] = []
        """What the journal has of a one-off command."""
        self.one_off_hangs = False

    def behaviour(self, unit: str) -> Behaviour:
        return self.behaviours.get(_release(unit), Behaviour())

    def start(self, *units: str, wait: bool = True, timeout: float = 120) -> str | None:
        return next((said for unit in units if (said := self._start(unit, wait))), None)

    def stop(self, *units: str, wait: bool = True, timeout: float = 120) -> str | None:
        for unit in units:
            self._note(f"stop {unit}", wait)
            self.states[unit] = "inactive"
            if unit.endswith(".service") and (server := self.servers.pop(unit, None)):
                server.close()
        return self.stop_says

    def state(self, unit: str) -> UnitState:
        active = self.states.get(unit, "inactive")
        behaviour = self.behaviour(unit)
        broken = "app@" if behaviour.crashes else f"app-{behaviour.process_crashes}."
        crashed = active == "active" and unit.endswith(".service") and unit.startswith(broken)
        return UnitState(active, "running", int(crashed), 3 if crashed else 0)

    def result(self, unit: str) -> tuple[str, float] | None:
        return self.results.get(unit)

    def loaded(self, pattern: str) -> list[str]:
        return [unit for unit, active in self.states.items() if fnmatchcase(unit, pattern) and active != "inactive"]

    def journal(self, unit: str, lines: int = 30, since: str | None = None) -> list[str]:
        self.journals_since.append(since)
        return list(self.behaviour(unit).says)[-lines:]

    def cursor(self) -> str:
        return "0"

    def said_since(self, unit: str, cursor: str) -> tuple[list[Entry], str]:
        said = self.one_off[int(cursor) :]
        if not self.one_off_hangs:
            self.states[unit] = "inactive"
        return said, str(len(self.one_off))

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

    def _start(self, unit: str, wait: bool) -> str | None:
        self._note(f"start {unit}", wait)
        behaviour = self.behaviour(unit)
        if unit.startswith("migrate@"):
            self.states[unit] = "activating" if behaviour.migration == "hangs" else "inactive"
            return {"fails": "Job failed", "hangs": "did not come back"}.get(behaviour.migration)
        if unit.startswith("app@") and unit.endswith(".service"):
            if behaviour.refuses_to_start:
                self.states[unit] = "failed"
                return behaviour.refuses_to_start
            if unit not in self.servers:
                release = _release(unit)
                self.servers[unit] = _Server(self.releases.socket(release), release, behaviour)
        self.states[unit] = "active"
        return None

    def _note(self, call: str, wait: bool) -> None:
        self.before_call(call)
        self.calls.append(call)
        self.at.append(time.monotonic())
        if not wait:
            self.unwaited.append(call)


def _release(unit: str) -> str:
    return unit.split("@")[1].rsplit(".", 1)[0]


@dataclass
class FakeFront(Front):
    """nginx: whoever the link of the live slice points at answers."""

    releases: Releases
    answered_by: list[str | None] = field(default_factory=list)

    def ask(self, url: str, url_path: str, host: str, timeout: float = 5) -> Answer:
        live = self.releases.slice("live")
        self.answered_by.append(live)
        if live is None:
            return Answer(502, "Bad Gateway")
        # The host's name tells the release that the request came through nginx.
        return ask_socket(self.releases.root / "live.sock", url_path, "nginx", timeout)


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
        self.releases.save(Record(release=release, request={"kind": "deploy", "by": "alice", "state": "requested"}))
        if record:
            self.change(release, **record)
        self.systemd.behaviours[release] = behaviour or Behaviour()
        return release

    def change(self, release: str, **values: Any) -> None:
        """Change a record on disk."""
        record = self.releases.record(release)
        for name, value in values.items():
            setattr(record, name, value)
        self.releases.save(record)

    def takes_every_phase(self, release: str) -> None:
        """Let its activation migrate, be watched, hand over what runs once, and be held and confirmed."""
        self.has_migrations(release)
        self.has_processes()
        self.config = replace(self.config, watch_seconds=cast("int", 0.005))
        request = self.releases.record(release).request | {"kind": "deploy", "hold": 5, "state": "requested"}
        self.change(release, request=request)
        decision.confirm(self, release)

    def has_processes(self) -> None:
        """Let it be provisioned for two workers and, once on all hosts, beat."""
        self.config = replace(self.config, processes={"worker": 2}, single_processes=["beat"])

    def has_migrations(self, release: str) -> None:
        (self.releases.path(release) / ".slipway/release").write_text("#!/bin/sh\n")
