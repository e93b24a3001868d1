"""`python -m labs.trial` (make try): deploy an image by Slipway and by `docker run` under the same load.

First the image is checked against docs/reference/contract.md. Then, each way: a change, a version that does not start,
one that crashes under traffic, another change, and a rollback. The host `try` stays, with the app live on it, until
`make down`.
--smoke: one change, the version that does not start, and the rollback.
"""

import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from labs import deploys, host
from labs.baseline.docker import App, DockerRun
from labs.command import LabError, progress
from labs.host import Host, bytes_added
from labs.http import request
from labs.load.process import LEAD_SECONDS, Options, under_load
from labs.report.deploys import write_page
from labs.report.record import Deploy, new_folder, read_run, write_run, write_track
from labs.trial import cli, variants
from labs.trial.comparison import Way, as_text, comparison
from labs.trial.layers import transfer
from labs.trial.memory import PeakMemory
from labs.trial.variants import Variants
from slipway.contract.data import beside
from slipway.controller.image.errors import ImageError

HOST = "try"
PAUSE_SECONDS = 2
CRASH_SECONDS = 2
"""After the app was ready."""
MAX_SECONDS = 600
"""Of the load, should the trial be killed."""
SLIPWAY, DOCKER = "Slipway", "docker rm -f && docker run"
CHANGE, START_FAILURE, CRASH = "one file changed", "does not start", "crashes once it has traffic"

DeployStep = Callable[..., Deploy]
"""Takes name, description, image and `bad`."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the trial and print the page's path. Returns 0, or 1 if it could not run or Slipway lost a request."""
    try:
        request = cli.read(arguments, __doc__)
        images = variants.build(request.image)
        try:
            return Trial(request, images, new_folder("try")).run()
        finally:
            variants.remove(images)
    except (LabError, ImageError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


@dataclass(frozen=True)
class Measured:
    """One way of deploying, apart from its requests."""

    first_bytes: int
    memory: float
    peak_memory: float


class Trial:
    """One run."""

    def __init__(self, request: cli.Request, images: Variants, folder: Path) -> None:
        self._request, self._images, self._folder = request, images, folder
        self._started_at = time.time()

    def run(self) -> int:
        """Measure both ways, one after the other, and write the page. Returns the exit status."""
        measured = {"slipway": self._slipway()}
        notes = []
        try:
            measured["docker"] = self._docker()
        except LabError as error:
            notes.append(f"Not compared: {error}")
            progress("try", f"not compared: {error}")
        self._write(measured, notes)
        page, found = write_page(self._folder)
        print(f"Page: {page}")
        compared = not notes or not self._request.smoke
        return 0 if compared and all(outcome.contained for outcome in found["slipway"]) else 1

    def _slipway(self) -> Measured:
        target = self._host()
        first_bytes = bytes_added({}, target.ssh_bytes_received())
        release = target.status()["releases"][0]
        ready = sum(phase["seconds"] for phase in release["phases"] if phase["name"] in {"start", "probe"})
        if not self._request.smoke:
            variants.build_crashing(self._images, math.ceil(ready + CRASH_SECONDS))
        track, url = self._folder / "slipway", target.url()
        done, peak = self._under_load(
            track,
            url,
            lambda name, what, image, bad=False: deploys.deploy(target, name, what, image, bad=bad),
            lambda: deploys.rollback(target, "rollback"),
            target.memory_mb,
        )
        (track / "access.jsonl").write_text(target.access_log(self._started_at))
        names = deploys.names(done, "the first release")
        write_track(track, done, title=SLIPWAY, what="deploy.yml and rollback.yml", names=names)
        progress("try", f"the app is live at {url} (Host: {self._request.host_header}); to remove it: make down")
        return Measured(first_bytes, target.memory_mb(), peak)

    def _host(self) -> Host:
        """Return a host with the first release on it."""
        name = self._request.host or HOST
        settings = self._request.settings or self._folder / "settings.env"
        settings.touch()
        variables = self._request.variables() | {
            "host_admin": "admin",
            "release_settings_file": str(settings.resolve()),
        }
        if self._request.host:
            progress("try", f"the first release, on the host {name}")
        else:
            progress("try", "a bare host, and the first release on it (a minute or two)")
            host.create(name, self._request.groups)
        target = Host(name, variables)
        target.play("site.yml", release_image=self._images.app)
        return target

    def _docker(self) -> Measured:
        track = self._folder / "docker"
        with beside(list(self._request.beside)) as data, DockerRun(self._app(data), self._folder) as docker:
            progress("try", "the same by docker run, behind nginx")
            docker.first(self._images.app)
            done, peak = self._under_load(
                track,
                docker.url,
                docker.deploy,
                lambda: docker.rollback("rollback", self._images.first_change),
                docker.memory_mb,
            )
            memory = docker.memory_mb()
        progress("try", "the size of a pull of these images")
        for deploy in done:
            deploy.bytes = transfer(deploy.release, self._images.app) if deploy.kind != "rollback" else None
        write_track(track, done, title=DOCKER, what="behind Debian's nginx with proxy_pass, --restart=unless-stopped")
        return Measured(transfer(self._images.app), memory, peak)

    def _app(self, data: Mapping[str, str]) -> App:
        """How `docker run` has it. `data`: folders with sockets, here and in the container."""
        given = self._request.environment
        return App(
            self._request.port,
            self._request.ready_path,
            self._request.host_header,
            self._request.data_environment("app") | given,
            cli.release_command(self._images.app),
            self._request.data_environment("migrate") | given,
            data,
        )

    def _under_load(
        self, track: Path, url: str, deploy: DeployStep, rollback: Callable[[], Deploy], memory: Callable[[], float]
    ) -> tuple[list[Deploy], float]:
        """Take the steps under load. Returns the deploys, and the peak of the app's memory in MB."""
        images, smoke = self._images, self._request.smoke
        steps: list[Callable[[], Deploy]] = [
            lambda: deploy("a change", CHANGE, images.first_change),
            lambda: deploy("does not start", START_FAILURE, images.start_failure, bad=True),
        ]
        if not smoke:
            steps += [
                lambda: deploy("crashes", CRASH, images.crashing, bad=True),
                lambda: deploy("another change", CHANGE, images.second_change),
            ]
        lead, pause = (1, 0) if smoke else (LEAD_SECONDS, PAUSE_SECONDS)
        header, paths = self._request.host_header, cli.as_load_paths(self._statuses(url))
        options = Options(url, self._request.rate, header, paths, max_seconds=MAX_SECONDS)
        done: list[Deploy] = []
        with under_load(track, options, lead), PeakMemory(memory) as peak:
            for step in [*steps, rollback]:
                done.append(step())
                progress("try", f"{done[-1].name}: {'live' if done[-1].live else 'aborted'}")
                time.sleep(pause)
        return done, peak.peak

    def _statuses(self, url: str) -> dict[str, int]:
        """Return the status that each path has now, which it must have under load.

        Raises:
            LabError: a path fails already.
        """
        header = self._request.host_header
        statuses = {path: request(url, path, host_header=header)[0] for path in self._request.paths}
        for path, status in statuses.items():
            if not 200 <= status < 500:
                response = f"status {status}" if status else "no response"
                raise LabError(f"GET {path}: {response} before any deploy, so its load shows nothing: set other PATHS")
        return statuses

    def _write(self, measured: Mapping[str, Measured], notes: list[str]) -> None:
        labels = {
            "title": f"{self._request.image}, deployed two ways under load",
            "rate": self._request.rate,
            "tracks": ["slipway", "docker"],
        }
        write_run(self._folder, **labels)
        tracks = {track.name: track for track in read_run(self._folder).tracks}
        ways = [
            Way(title, tracks[name], measured[name].first_bytes, measured[name].memory, measured[name].peak_memory)
            for name, title in (("slipway", SLIPWAY), ("docker", DOCKER))
            if name in measured
        ]
        table = comparison(ways)
        write_run(self._folder, **labels, comparison=table, notes=[*NOTES, *notes])
        print(as_text(table))


NOTES = [
    "Both ways: the same images, settings, secrets, paths and rate, one machine, one after the other. Seconds to live: "
    "from the start of the command until the new release has all traffic (Slipway) or answers (docker run), the "
    "median of the good deploys. The images were on the machine before.",
    "Sent: bytes received over SSH (Slipway; the first time with all of provisioning); the gzipped layers that the "
    "first image does not have (docker run): a lower bound, since a rebuild changes all later layers. Memory: PSS of "
    "the app's processes.",
    "A broken version is undone by an operator who looks after ten seconds (docker run), or by Slipway itself. One "
    "does not start: its command ends with an error. One crashes: its process is killed two seconds after it was "
    "ready.",
]


if __name__ == "__main__":
    sys.exit(main())
