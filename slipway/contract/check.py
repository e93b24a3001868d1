"""Check each line of the contract: first against the image's files, then against the running app."""

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from slipway.contract.container import Container, Process, Shipment, find_python, running
from slipway.contract.data import beside
from slipway.contract.lines import LINES, Finding, Findings, State
from slipway.contract.site import Site
from slipway.controller.image.cache import cached_tree, unpack
from slipway.controller.image.check import check_tree, read_procfile, resolve
from slipway.controller.image.command import hidden_notes
from slipway.controller.image.config import read_image
from slipway.controller.image.docker import Docker
from slipway.controller.image.errors import ImageError
from slipway.engine.causes import MAX_LINES, error_lines, find, printable
from slipway.engine.probe import Answer
from slipway.engine.readiness import Refusal, advice
from slipway.engine.ship import check_processes
from slipway.engine.ways import is_unclear, no_way, unclear
from slipway.model.errors import UsageError
from slipway.model.image import Image
from slipway.model.listeners import open_ports
from slipway.model.manifest import Manifest

POLL_SECONDS = 0.1
STAYS_UP_SECONDS = 3
"""How long the processes of app_processes must stay up, as in a deploy."""
UNSEEN = {
    "database": "only the next release shows it: let its migrations add first and remove a release later",
    "several": "only its code shows it: what two requests share belongs in a database",
}
STATIC = ("system", "shell", "folders", "procfile")
RUNNING = ("socket", "ready", "stop", "writes", "logs", "secrets", "import")
FIRST = "not looked at: first change what is not ok"
CERTIFICATES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")
ZONES = "/usr/share/zoneinfo/UTC"


@dataclass(frozen=True)
class Options:
    """The image to check, and how."""

    image: str
    site: Site
    cache: Path
    settings: dict[str, str] = field(default_factory=dict)
    beside: list[str] = field(default_factory=list)
    """Services to run beside the app: `postgres`, `valkey`."""
    slow_path: str | None = None
    """A path whose response takes a second or two."""
    timeout: float = 60
    """Seconds within which the app must become ready."""


def kept(why: str = "") -> Finding:
    """Report that the image keeps the line."""
    return Finding(State.KEPT, why)


def broken(why: str) -> Finding:
    """Report that the image breaks the line; `why` names the change to make."""
    return Finding(State.BROKEN, why)


def unseen(why: str) -> Finding:
    """Report that the check cannot decide."""
    return Finding(State.UNSEEN, why)


def check(docker: Docker, options: Options) -> Findings:
    """Check an image.

    Raises:
        ImageError: the image cannot be checked.
    """
    inspected = docker.inspect(options.image, pull=True)
    try:
        site = options.site
        image = read_image(options.image, inspected, site["app_command"], int(site["app_port"]))
        tree = (cached_tree(options.cache, image) or unpack(docker, options.cache, image)).path
        check_tree(image, tree)
        procfile = read_procfile(image, tree)
    except ImageError as error:
        if error.line is None:
            raise
        return dict.fromkeys(LINES, unseen(FIRST)) | {error.line: broken(str(error))}
    findings = {key: kept() for key in STATIC} | {key: unseen(why) for key, why in UNSEEN.items()}
    findings["brings"] = brings(tree)
    python = find_python(tree, image.env)
    manifest = _manifest(image, procfile, options)
    processes = [process["name"] for process in options.site["app_processes"]]
    try:
        check_processes(processes, manifest)
    except UsageError as error:
        return dict.fromkeys(RUNNING, unseen(FIRST)) | findings | {"procfile": broken(str(error))}
    volumes = sorted((inspected.get("Config") or {}).get("Volumes") or {})
    with beside(options.beside) as data:
        shipment = Shipment(image.id, tree, manifest, processes, volumes, data)
        with running(docker.executable, python, shipment, options.site) as container:
            findings |= Trial(container, options, procfile, manifest.ports).findings()
    notes = hidden_notes(tree)
    return findings | ({"folders": kept(" ".join(notes))} if notes and findings["folders"] == kept() else {})


def brings(tree: Path) -> Finding:
    """Look for certificates and time zones in the usual places, and in Python packages that contain such files."""
    missing = [
        name
        for name, places, package in (
            ("ca-certificates", CERTIFICATES, "certifi/cacert.pem"),
            ("tzdata", (ZONES,), "tzdata/zoneinfo/UTC"),
        )
        if not any(resolve(tree, place) for place in places) and not any(tree.rglob(f"*-packages/{package}"))
    ]
    if not missing:
        return kept()
    return unseen(f"no {' and no '.join(missing)} where they usually are: install what the app uses of it")


def _manifest(image: Image, procfile: dict[str, str], options: Options) -> Manifest:
    return Manifest(
        image=image,
        procfile=procfile,
        settings=options.settings,
        secrets_as_environment=options.site["app_secrets_as_environment"],
        writable=options.site["app_writable"],
    )


class Trial:
    """One run of the app, from start to SIGTERM."""

    def __init__(self, container: Container, options: Options, procfile: dict[str, str], ports: list[int]) -> None:
        self._container, self._options, self._procfile, self._ports = container, options, procfile, ports
        self._site = options.site

    def findings(self) -> Findings:
        """Check the lines that only the running app shows."""
        found = dict.fromkeys(RUNNING, unseen("the app did not become ready"))
        if (failed := self._become_ready()) is not None:
            return found | failed
        port = self._container.port
        found["socket"] = kept(f"on port {port}, on which it listens by itself" if port else "on the socket")
        found["ready"] = kept(f"GET {self._site['app_ready_path']} of {self._site['app_probe_host']}")
        if (failed := self._processes()) is not None:
            return found | failed
        found["writes"] = self._writes()
        found["import"] = self._threads()
        found["secrets"] = self._secrets()
        found["stop"] = self._stop()
        found["logs"] = kept() if self._container.log_lines() else unseen("the app logged nothing")
        found["procfile"] = kept(self._procfile_summary())
        return found

    def _procfile_summary(self) -> str:
        """List which lines of the Procfile were started, and which were not."""
        started = [process["name"] for process in self._site["app_processes"]]
        rest = [name for name in self._procfile if name not in (*started, "release")]
        parts = ["`release:` ran before it"] if "release" in self._procfile else []
        parts += [f"{', '.join(started)} ran beside it"] if started else []
        parts += [f"{', '.join(rest)} not started: app_processes does not name it"] if rest else []
        return "; ".join(parts)

    def _processes(self) -> Findings | None:
        """Verify that the processes of app_processes stay up for as long as a deploy waits."""
        if not self._site["app_processes"]:
            return None
        time.sleep(STAYS_UP_SECONDS)
        ended = {step: status for step, status in self._container.steps().items() if step.startswith("process.")}
        for step, status in ended.items():
            return {"procfile": self._because(f"`{step.removeprefix('process.')}:` ended with exit status {status}")}
        return None

    def _get(self, path: str, seconds: float) -> Answer:
        return self._container.get(path, self._site["app_probe_host"], seconds, self._site.scheme)

    def _become_ready(self) -> Findings | None:
        """Wait until the app is ready. Returns the broken lines if it does not become ready."""
        began, path = time.monotonic(), self._site["app_ready_path"]
        answer, refusal = Answer(error="no probe was sent"), Refusal()
        while time.monotonic() < began + self._options.timeout:
            running = self._container.running()  # before the steps are read: an ended container records none
            steps = self._container.steps()
            if steps.get("release"):
                return {"procfile": self._because(f"`release:` ended with exit status {steps['release']}")}
            if "ended" in steps or not running:
                return self._crashed(steps.get("ended"))
            if "web" in steps:
                answer = self._get(path, min(5.0, 0.5 + time.monotonic() - began))
                if answer.good:
                    return None
                if refusal.is_settled(answer):
                    break
            time.sleep(POLL_SECONDS)
        if "web" not in self._container.steps():
            return {"procfile": self._because(f"`release:` did not end within {self._options.timeout:g} s")}
        symptom = f"not ready after {time.monotonic() - began:.0f} s; last response to GET {path}: {answer}"
        if not answer.status and self._container.unaccepted():
            listening = self._container.listeners()
            own = open_ports(self._ports, listening)
            if is_unclear(self._ports, own):
                return {"socket": self._because(unclear(self._ports, own))}
            if own:
                where = ", ".join(map(str, listening))
                return {
                    "socket": unseen(f"it listens on {where}; without a Python in the image it is not reached there")
                }
            return {"socket": self._because(no_way(self._ports, listening))}
        threads = self._threads()
        others = {"import": threads} if threads.state is State.BROKEN else {}
        others |= {"socket": kept()} if answer.status else {}
        return {"ready": self._because("\n".join(filter(None, (symptom, self._advice(answer)))))} | others

    def _advice(self, answer: Answer) -> str:
        """Name the variable to set, and the option of tools/contract that sets it."""
        text = advice(answer, self._site["app_ready_path"], self._site["app_probe_host"], self._site.scheme)
        names = dict.fromkeys(re.findall(r"\b(?:app_probe_host|app_ready_path|nginx_client_scheme)\b", text))
        return f"{text} Here: {', '.join(f'-e {name}=...' for name in names)}" if names else text

    def _crashed(self, status: int | None) -> Findings:
        cause = find(output := self._container.log_lines(MAX_LINES))
        line = "import" if "cannot be preloaded" in "\n".join(output) else cause.kind if cause else "ready"
        return {line: self._because(f"it ended with exit status {status} before it was ready")}

    def _because(self, symptom: str) -> Finding:
        """Report a broken line with the app's last log lines, and the setting that would help."""
        output = self._container.log_lines(MAX_LINES)
        cause = find(output)
        lines = [
            symptom,
            *([f"Hint: {cause.advice}."] if cause else []),
            "Its last lines:" if cause else "No known cause; its last lines:",
            *(error_lines(output, 30) or ["(nothing)"]),
        ]
        return broken(printable("\n".join(lines)))

    def _writes(self) -> Finding:
        refused = (find([line]) for line in self._container.log_lines(1000) if "Read-only file system" in line)
        if cause := next(filter(None, refused), None):
            return broken(f"it serves, but says that it could not write: {cause.advice}")
        paths = [self._site["app_ready_path"], *filter(None, [self._options.slow_path])]
        return kept(f"as far as its start and GET {' and '.join(paths)} show; other requests were not made")

    def _threads(self) -> Finding:
        """Verify that the forking process has one thread: a thread started at import exists in no worker."""
        masters = forked(self._container.processes())
        # gunicorn 25.1 and newer run one thread of their own, for this control socket.
        own = 1 + self._container.has(f"{self._site.environment()['HOME']}/.gunicorn/gunicorn.ctl")
        if threaded := [master for master in masters if master.threads > own]:
            return broken(
                f"The process that forked the workers has {threaded[0].threads} threads: the app starts them when it "
                "is imported, and under --preload no worker has them. Start them in the app's lifespan, or leave "
                "--preload out (app_preload: false)."
            )
        return kept("as far as the threads of the first process show") if masters else unseen("nothing was forked")

    def _secrets(self) -> Finding:
        environment = set(self._site["app_secrets_as_environment"])
        files = sorted(set(self._site.secrets) - environment)
        if not files:
            return unseen("it was given none as files (app_secrets)")
        return kept(f"it is ready with {', '.join(files)} as files")

    def _stop(self) -> Finding:
        allowed = int(self._site["app_request_timeout"])
        finish = self._in_flight(self._options.slow_path) if self._options.slow_path else None
        self._container.terminate()
        took = self._container.wait(allowed + 5)
        if took is None:
            return broken(
                f"it ran on for {allowed + 5} s after SIGTERM (app_request_timeout is {allowed}): let the image's "
                "command become the server (`exec`), which handles the signal."
            )
        if left := self._container.steps().get("left"):
            return kept(
                f"SIGTERM ended the first process, a shell, and {left} below it ran on. A host lets requests finish "
                "before it stops a release, and then kills these, with their streams: end the script in `exec`"
            )
        if finish is None:
            return kept(f"after {took:.1f} s; an answer in flight was not tried (--slow-path)")
        answer = finish()
        if not answer.good:
            return broken(
                f"GET {self._options.slow_path} was in flight, and got: {answer}. Let the server finish what it has "
                "begun when SIGTERM comes."
            )
        return kept(f"after {took:.1f} s, with an answer in flight finished")

    def _in_flight(self, path: str) -> Callable[[], Answer]:
        answers: list[Answer] = []
        thread = threading.Thread(target=lambda: answers.append(self._get(path, self._site["app_request_timeout"])))
        thread.start()
        time.sleep(0.5)  # by then the app has accepted the request, and has not responded yet

        def finish() -> Answer:
            thread.join()
            return answers[0]

        if answers:
            raise ImageError(f"{path} answers at once ({finish()}): name a path that takes a second or two.")
        return finish


def forked(processes: list[Process]) -> list[Process]:
    """Find processes whose children run the same program: gunicorn, and any server that imports before it forks."""
    by_id = {process.id: process for process in processes}
    pairs = ((by_id[child.parent], child) for child in processes if child.parent in by_id)
    return [
        parent
        for parent, child in pairs
        # With setproctitle, gunicorn's process titles are `gunicorn: master [app]` and `gunicorn: worker [app]`.
        if child.command == parent.command or parent.command.startswith("gunicorn: master")
        # granian forks, too, but each of its workers imports the app; the threads are granian's own.
        if not re.search(r"\bgranian\b", parent.command)
    ]
