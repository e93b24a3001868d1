"""`python -m demo.trial` (make try): an image of yours, deployed by Slipway and by `docker run` under the same load.

First the image is checked against docs/contract.md. Then, each way: a change, a version that does not start, one that
crashes under traffic, another change, and a rollback. The host `try` stays, with the app live on it, until `make down`.
"""

import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.host import ROOT, BenchError, run
from demo import asked, variants
from demo.asked import Asked
from demo.asking import ask
from demo.comparison import Way, comparison, in_words
from demo.deploying import DemoHost, added, names
from demo.folders import new_folder, write_run
from demo.layers import transfer
from demo.load import describe, load
from demo.memory import Memory
from demo.report.page import write_page
from demo.report.record import Deploy, read_run, write_deploys
from demo.textbook.deploy import App, Textbook
from demo.variants import Variants

HOST = "try"
PAUSE_SECONDS = 2
CRASH_SECONDS = 2
"""After it was ready."""
SLIPWAY, DOCKER = "Slipway", "docker rm -f && docker run"
CHANGE, STILLBORN, CRASHING = "a file of it changed", "does not start", "crashes once it has traffic"

Step = Callable[[], Deploy]


def main(arguments: Sequence[str] | None = None) -> int:
    """Try it, and print the page's path. Returns 0, or 1 if it could not be tried or Slipway lost a request."""
    try:
        trial = asked.read(arguments, __doc__)
        images = variants.build(trial.image)
        try:
            return Trial(trial, images, new_folder("try")).run()
        finally:
            variants.remove(images)
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


@dataclass(frozen=True)
class Measured:
    """What the requests do not tell of a way of deploying."""

    first_bytes: int
    memory: float
    most_memory: float


class Trial:
    """One run."""

    def __init__(self, trial: Asked, images: Variants, folder: Path) -> None:
        self._asked, self._images, self._folder = trial, images, folder
        self._began = time.time()

    def run(self) -> int:
        """Both ways, one after the other, and the page. Returns the exit status."""
        measured = {"slipway": self._slipway()}
        notes = []
        try:
            measured["docker"] = self._docker()
        except BenchError as error:
            notes.append(f"Not compared: {error}")
            print(f"try: not compared: {error}", file=sys.stderr)
        self._write(measured, notes)
        page, found = write_page(self._folder)
        print(f"Page: {page}")
        return 0 if all(outcome.spared for outcome in found["slipway"]) else 1

    def _slipway(self) -> Measured:
        host = self._host()
        first_bytes = added({}, host.received_over_ssh())
        release = host.status()["releases"][0]
        ready = sum(phase["seconds"] for phase in release["phases"] if phase["name"] in {"start", "probe"})
        variants.build_crashing(self._images, math.ceil(ready + CRASH_SECONDS))
        track = self._folder / "slipway"
        steps: list[Step] = [
            lambda: host.deploy("a change", CHANGE, self._images.first_change),
            lambda: host.deploy("does not start", STILLBORN, self._images.stillborn, bad=True),
            lambda: host.deploy("crashes", CRASHING, self._images.crashing, bad=True),
            lambda: host.deploy("another change", CHANGE, self._images.second_change),
            lambda: host.rollback("rollback"),
        ]
        url = host.url()
        deploys, most = self._under_load(track, url, steps, host.memory)
        (track / "access.jsonl").write_text(host.access_log(self._began))
        write_deploys(track, deploys)
        describe(track, title=SLIPWAY, what="deploy.yml and rollback.yml", names=names(deploys, "the first release"))
        print(f"try: the app is live at {url} (Host: {self._asked.host_header}); make down removes it", file=sys.stderr)
        return Measured(first_bytes, host.memory(), most)

    def _host(self) -> DemoHost:
        """A bare host with the first release on it."""
        _say("a bare host, and the first release on it (a minute or two)")
        settings = self._asked.settings or self._folder / "settings.env"
        settings.touch()
        run(str(ROOT / "tools/host"), "down", HOST)
        run(str(ROOT / "tools/host"), "up", HOST)
        variables = self._asked.variables() | {"host_admin": "admin", "release_settings_file": str(settings.resolve())}
        host = DemoHost(HOST, ROOT / f".cache/hosts/{HOST}/inventory.yml", variables)
        host.run_playbook("site.yml", release_image=self._images.app)
        return host

    def _docker(self) -> Measured:
        app = App(
            self._asked.port,
            str(self._asked.site["app_ready_path"]),
            self._asked.host_header,
            self._asked.environment,
            asked.release_command(self._images.app),
        )
        images, track = self._images, self._folder / "docker"
        with Textbook(app, self._folder) as textbook:
            _say("the same by docker run, behind nginx")
            textbook.first(images.app)
            steps: list[Step] = [
                lambda: textbook.deploy("a change", CHANGE, images.first_change),
                lambda: textbook.deploy("does not start", STILLBORN, images.stillborn, bad=True),
                lambda: textbook.deploy("crashes", CRASHING, images.crashing, bad=True),
                lambda: textbook.deploy("another change", CHANGE, images.second_change),
                lambda: textbook.rollback("rollback", images.first_change),
            ]
            deploys, most = self._under_load(track, textbook.url, steps, textbook.memory)
            memory = textbook.memory()
        _say("what a registry would hand over of these images")
        for deploy, image in zip(
            deploys, (images.first_change, images.stillborn, images.crashing, images.second_change), strict=False
        ):
            deploy.bytes = transfer(image, images.app)
        write_deploys(track, deploys)
        describe(track, title=DOCKER, what="behind Debian's nginx with proxy_pass, --restart=unless-stopped", names={})
        return Measured(transfer(images.app), memory, most)

    def _under_load(
        self, track: Path, url: str, steps: Sequence[Step], measure: Callable[[], float]
    ) -> tuple[list[Deploy], float]:
        """Take the steps under load. Returns the deploys, and the most memory that the app had meanwhile in MB."""
        options = ["--locustfile", str(ROOT / "demo/visitors.py"), "--host-header", self._asked.host_header]
        deploys: list[Deploy] = []
        environment = {"VISITOR_PATHS": asked.as_words(self._expected(url))}
        with load(track, url, self._asked.rate, options, environment), Memory(measure) as memory:
            for step in steps:
                deploys.append(step())
                _say(f"{deploys[-1].name}: {'live' if deploys[-1].live else 'taken back'}")
                time.sleep(PAUSE_SECONDS)
        return deploys, memory.most

    def _expected(self, url: str) -> dict[str, int]:
        """What each path answers now is what it has to answer under load."""
        statuses = {path: ask(url, path, self._asked.host_header) for path in self._asked.paths}
        if wrong := {path: status for path, status in statuses.items() if not 200 <= status < 500}:
            path, status = wrong.popitem()
            raise BenchError(
                f"GET {path} says {status or 'nothing'}, so a load of it shows nothing: name others (PATHS)"
            )
        return statuses

    def _write(self, measured: Mapping[str, Measured], notes: list[str]) -> None:
        words = {
            "title": f"{self._asked.image}, deployed two ways under load",
            "rate": self._asked.rate,
            "tracks": ["slipway", "docker"],
        }
        write_run(self._folder, **words)
        tracks = {track.name: track for track in read_run(self._folder).tracks}
        ways = [
            Way(title, tracks[name], measured[name].first_bytes, measured[name].memory, measured[name].most_memory)
            for name, title in (("slipway", SLIPWAY), ("docker", DOCKER))
            if name in measured
        ]
        table = comparison(ways)
        write_run(self._folder, **words, comparison=table, notes=[*NOTES, *notes])
        print(in_words(table))


NOTES = [
    "Both ways: the same images, settings, secrets, paths and rate, one machine, one after the other. Seconds to live: "
    " from typing the command until the new release has all traffic (Slipway) or answers at all (docker run), the "
    "median of the two changes. The images were there when either clock started.",
    "Sent: bytes that came in over SSH (Slipway; the first time with all that provisioning sends); the layers that the "
    "first image does not have, gzipped as in a registry (docker run): the least it can be, since a rebuild makes the "
    "layers after the changed one anew. Memory: PSS of the app's processes.",
    "A broken version was undone by somebody who looked after ten seconds (docker run), or by Slipway itself. One does "
    "not start: its command ends with an error. One crashes: its process is killed two seconds after it was ready.",
]


def _say(text: str) -> None:
    print(f"try: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
