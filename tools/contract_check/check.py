"""Looking at each line of the contract: first at the image's files, then at the app while it runs."""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ansible.module_utils.slipway_image import (
    Docker,
    Image,
    ImageError,
    cached_tree,
    check_tree,
    read_image,
    read_procfile,
    resolve,
    unpack,
)

from slipway.causes import MOST_LINES, SOCKET_ADVICE, hint, printable, telling
from slipway.probe import Answer, ask_socket
from slipway.ship import Manifest
from tools.contract_check.container import Container, Process, find_python, running
from tools.contract_check.lines import LINES, Finding, Findings, State
from tools.contract_check.site import Site

POLL_SECONDS = 0.1
SETTLED_SECONDS = 3
"""An answer 4xx that stays for so long is no app that is still starting: another path or name has to be asked."""
UNSEEN = {
    "database": "only the next release shows it: let its migrations add first and remove a release later",
    "several": "only its code shows it: what two requests share belongs in a database",
}
STATIC = ("system", "shell", "folders", "procfile")
RUNNING = ("socket", "ready", "stop", "writes", "logs", "secrets", "import")
CERTIFICATES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")
ZONES = "/usr/share/zoneinfo/UTC"


@dataclass(frozen=True)
class Options:
    """What is to be checked."""

    image: str
    site: Site
    cache: Path
    settings: dict[str, str] = field(default_factory=dict)
    slow_path: str | None = None
    """A path that takes a while to answer."""
    timeout: float = 60
    """Seconds to become ready in."""


def kept(why: str = "") -> Finding:
    """The line is kept."""
    return Finding(State.KEPT, why)


def broken(why: str) -> Finding:
    """The line is broken; `why` says what to change."""
    return Finding(State.BROKEN, why)


def unseen(why: str) -> Finding:
    """Nobody can tell."""
    return Finding(State.UNSEEN, why)


def check(docker: Docker, options: Options) -> Findings:
    """Check an image.

    Raises:
        ImageError: it could not be looked at.
    """
    inspected = docker.inspect(options.image, pull=True)
    try:
        image = read_image(options.image, inspected)
        tree = (cached_tree(options.cache, image) or unpack(docker, options.cache, image)).path
        check_tree(image, tree)
        procfile = read_procfile(image, tree)
    except ImageError as error:
        if error.line is None:
            raise
        return dict.fromkeys(LINES, unseen("not looked at: first change what is not ok")) | {
            error.line: broken(str(error))
        }
    findings = {key: kept() for key in STATIC} | {key: unseen(why) for key, why in UNSEEN.items()}
    findings["brings"] = brings(tree)
    python = find_python(tree, image.env)
    if python is None:
        why = "the image has no python3 in its PATH or where one usually is, which would hand the socket over"
        return dict.fromkeys(RUNNING, unseen(why)) | findings
    manifest = _manifest(image, procfile, options)
    with running(docker.executable, image.id, python, manifest, options.site) as container:
        return findings | Trial(container, options, procfile).findings()


def brings(tree: Path) -> Finding:
    """Look for certificates and time zones in the usual places, and in Python packages that have them."""
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
    return Manifest.parse(
        json.dumps(
            {
                "image": image.id,
                "architecture": image.architecture,
                "commit": image.commit,
                "entrypoint": image.entrypoint,
                "cmd": image.cmd,
                "env": image.env,
                "workdir": image.workdir,
                "procfile": procfile,
                "settings": options.settings,
                "secrets_as_environment": options.site["app_secrets_as_environment"],
            }
        )
    )


class Trial:
    """An app from its start to its end."""

    def __init__(self, container: Container, options: Options, procfile: dict[str, str]) -> None:
        self._container, self._options, self._procfile = container, options, procfile
        self._site = options.site

    def findings(self) -> Findings:
        """What the running app shows."""
        found = dict.fromkeys(RUNNING, unseen("the app did not become ready"))
        if (failed := self._become_ready()) is not None:
            return found | failed
        found["socket"] = kept()
        found["ready"] = kept(f"GET {self._site['app_ready_path']} of {self._site['app_probe_host']}")
        found["writes"] = self._writes()
        found["import"] = self._threads()
        found["secrets"] = self._secrets()
        found["stop"] = self._stop()
        found["logs"] = kept() if self._container.said() else unseen("it said nothing")
        if "release" in self._procfile:
            found["procfile"] = kept("`release:` ran before it")
        return found

    def _ask(self, path: str, seconds: float) -> Answer:
        return ask_socket(self._container.socket, path, self._site["app_probe_host"], timeout=seconds)

    def _become_ready(self) -> Findings | None:
        """Wait until it is ready; say what is wrong if it does not get there."""
        began, path = time.monotonic(), self._site["app_ready_path"]
        answer, refused_at = Answer(error="it was not asked"), 0.0
        while time.monotonic() < began + self._options.timeout:
            running = self._container.running()  # before its steps are read: what has ended tells no more
            told = self._container.told()
            if told.get("release"):
                return {"procfile": self._because(f"`release:` ended with exit status {told['release']}")}
            if "ended" in told or not running:
                return self._crashed(told.get("ended"))
            if "web" in told:
                answer = self._ask(path, min(5.0, 0.5 + time.monotonic() - began))
                if answer.good:
                    return None
                refused_at = (refused_at or time.monotonic()) if 400 <= answer.status < 500 else 0.0
                if refused_at and time.monotonic() > refused_at + SETTLED_SECONDS:
                    break
            time.sleep(POLL_SECONDS)
        if "web" not in self._container.told():
            return {"procfile": self._because(f"`release:` did not end within {self._options.timeout:g} s")}
        what = f"not ready after {time.monotonic() - began:.0f} s; GET {path} said last: {answer}"
        if not answer.status and self._container.untaken():
            return {"socket": self._because(f"nothing takes connections from the socket: {SOCKET_ADVICE}")}
        threads = self._threads()
        others = {"import": threads} if threads.state is State.BROKEN else {}
        others |= {"socket": kept()} if answer.status else {}
        return {"ready": self._because("\n".join(filter(None, (what, _about(answer)))))} | others

    def _crashed(self, status: int | None) -> Findings:
        said = "\n".join(self._container.said())
        advice = hint([said]) or ""
        line = "ready"
        if "cannot be preloaded" in said:
            line = "import"
        elif SOCKET_ADVICE in advice:
            line = "socket"
        elif "$STATE_DIRECTORY" in advice:
            line = "writes"
        return {line: self._because(f"it ended with exit status {status} before it was ready")}

    def _because(self, what: str) -> Finding:
        """A broken line with what the app said, and the setting that would help."""
        said = self._container.said(MOST_LINES)
        advice = hint(said)
        lines = [
            what,
            *([f"Hint: {advice}."] if advice else []),
            "It said last:",
            *(telling(said, 30) or ["(nothing)"]),
        ]
        return broken(printable("\n".join(lines)))

    def _writes(self) -> Finding:
        advice = hint(line for line in self._container.said(1000) if "Read-only file system" in line)
        return broken(f"it serves, but says that it could not write: {advice}") if advice else kept()

    def _threads(self) -> Finding:
        """A server that has forked has one thread, unless the app that it imported before started others."""
        masters = forked(self._container.processes())
        # gunicorn 25.1 and newer have one of their own, for this.
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
        thread = threading.Thread(target=lambda: answers.append(self._ask(path, self._site["app_request_timeout"])))
        thread.start()
        time.sleep(0.5)  # it has been taken by then, and is not answered yet

        def finish() -> Answer:
            thread.join()
            return answers[0]

        if answers:
            raise ImageError(f"{path} answers at once ({finish()}): name a path that takes a second or two.")
        return finish


def forked(processes: list[Process]) -> list[Process]:
    """Those with children that did not become another program: gunicorn, and whatever imports before it forks."""
    by_id = {process.id: process for process in processes}
    pairs = ((by_id[child.parent], child) for child in processes if child.parent in by_id)
    return [
        parent
        for parent, child in pairs
        # With setproctitle gunicorn's say `gunicorn: master [app]` and `gunicorn: worker [app]`.
        if child.command == parent.command or parent.command.startswith("gunicorn: master")
    ]


def _about(answer: Answer) -> str:
    """What to change for an answer that is not good."""
    if answer.status == 404:
        return "Name the path that tells it: -e app_ready_path=..."
    if answer.status == 400:
        return "Name a host that it answers to: -e app_probe_host=..."
    return ""
