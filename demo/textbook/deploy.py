"""`docker rm -f app && docker run -d --name app -p 127.0.0.1:...` behind nginx with the textbook's site.

On the same machine, with the same image, settings and secrets. In its favour: the image is there already when the clock
starts, the container restarts by itself, and whoever deploys looks at it and undoes what is broken after ten seconds.
"""

import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from bench.host import ROOT, BenchError, run
from bench.serving import SITE
from demo.asking import ask
from demo.report.record import Deploy, Phase

APP = "slipway-try-app"
NGINX = "slipway-try-nginx"
STATE = "slipway-try-state"
STATE_DIRECTORY = "/var/lib/app"
PATIENCE_SECONDS = 10
"""After which somebody has seen that it is broken."""
START_SECONDS = 30


@dataclass(frozen=True)
class App:
    """What is deployed, whatever its version."""

    port: int
    """On which the image listens in its container."""
    ready_path: str
    host_header: str
    environment: Mapping[str, str]
    release_command: str | None = None
    """What has to run before a version starts: `release:` of the Procfile."""


class Textbook:
    """The app's container and nginx's, for as long as a block runs."""

    def __init__(self, app: App, cache: Path) -> None:
        """`cache` is a folder for nginx's site."""
        self._app, self._cache, self._image = app, cache, ""
        self._front, self._back = _free_port(), _free_port()

    def __enter__(self) -> Self:
        self._remove()
        run(str(ROOT / "tools/base-image"))
        run("docker", "build", "--quiet", "--tag=slipway-try:nginx", str(ROOT / "demo/textbook"))
        site = self._cache / "site.conf"
        site.write_text(SITE.replace("8080", f"127.0.0.1:{self._front}").replace(":8000", f":{self._back}"))
        # The machine's network, as if nginx were installed on it; its processes, to see what memory they use.
        options = [
            "--network=host",
            "--pid=host",
            "--cap-add=SYS_PTRACE",
            f"--volume={site}:/etc/nginx/conf.d/app.conf:ro",
        ]
        run("docker", "run", "--detach", f"--name={NGINX}", *options, "slipway-try:nginx")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._remove()

    @property
    def url(self) -> str:
        """Where nginx serves."""
        return f"http://127.0.0.1:{self._front}"

    def first(self, image: str) -> None:
        """Start the first version.

        Raises:
            BenchError: it does not answer, so that nothing can be compared.
        """
        self._make_state(image)
        self._migrate(image)
        self._run(image)
        if self._wait(START_SECONDS) is None:
            said = run("sh", "-c", f"docker logs --tail 5 {APP} 2>&1")
            raise BenchError(
                f"by `docker run` the image answers nothing on port {self._app.port} within {START_SECONDS} s "
                f"(another port: PORT=...); it said last:\n{said}"
            )

    def deploy(self, name: str, what: str, image: str, *, bad: bool = False, migrate: bool = True) -> Deploy:
        """Replace the running version. A bad one is undone once somebody has seen it."""
        deploy = Deploy(name, what, time.time(), 0.0, kind="bad" if bad else "good", release=image, before=self._image)
        old = self._image
        self._replace(deploy, image, PATIENCE_SECONDS if bad else START_SECONDS, migrate=migrate)
        if bad:
            at, started = time.time(), deploy.phases[-1].at
            time.sleep(max(0.0, started + PATIENCE_SECONDS - at))
            deploy.phases.append(Phase("somebody looks", at, time.time() - at))
            deploy.cause = f"seen by somebody after {PATIENCE_SECONDS} s, and undone"
            self._replace(deploy, old, START_SECONDS, migrate=False)
        deploy.live = not bad
        deploy.live_at = None if bad else deploy.phases[-1].end
        deploy.ended = time.time()
        return deploy

    def rollback(self, name: str, image: str) -> Deploy:
        """Go back to an image."""
        deploy = self.deploy(name, "the same, with the image before", image, migrate=False)
        deploy.kind = "rollback"
        return deploy

    def memory(self) -> float:
        """Memory of the app's processes in MB: what they share counts once (PSS)."""
        processes = run("docker", "top", APP, "-o", "pid").split()[1:]
        files = [f"/proc/{process}/smaps_rollup" for process in processes]
        said = run("docker", "exec", NGINX, "grep", "--no-filename", "^Pss:", *files)
        return sum(int(line.split()[1]) for line in said.splitlines()) / 1024

    def _replace(self, deploy: Deploy, image: str, patience: float, *, migrate: bool) -> None:
        if migrate and self._app.release_command:
            self._phase(deploy, "migrate", lambda: self._migrate(image))
        self._phase(deploy, "docker rm -f", lambda: run("docker", "rm", "--force", APP))
        self._phase(deploy, "docker run", lambda: self._run(image))
        self._phase(deploy, "nobody serves", lambda: self._wait(patience))

    @staticmethod
    def _phase(deploy: Deploy, name: str, step: Callable[[], object]) -> None:
        at = time.time()
        step()
        deploy.phases.append(Phase(name, at, time.time() - at))

    def _run(self, image: str) -> None:
        options = ["--restart=unless-stopped", f"--publish=127.0.0.1:{self._back}:{self._app.port}", "--init"]
        run("docker", "run", "--detach", f"--name={APP}", *options, *self._options(image), image)
        self._image = image

    def _migrate(self, image: str) -> None:
        if self._app.release_command:
            shell = ["--rm", *self._options(image), "--entrypoint=/bin/sh", image, "-c", self._app.release_command]
            run("docker", "run", *shell)

    def _make_state(self, image: str) -> None:
        """A volume that whoever the app runs as may write to."""
        volume = f"--volume={STATE}:{STATE_DIRECTORY}"
        run(
            "docker",
            "run",
            "--rm",
            "--user=0",
            volume,
            "--entrypoint=/bin/sh",
            image,
            "-c",
            f"chmod 1777 {STATE_DIRECTORY}",
        )

    def _options(self, image: str) -> list[str]:
        told = {"STATE_DIRECTORY": STATE_DIRECTORY, "SLIPWAY_RELEASE": image, **self._app.environment}
        return [f"--volume={STATE}:{STATE_DIRECTORY}", *(f"--env={name}={value}" for name, value in told.items())]

    def _wait(self, seconds: float) -> float | None:
        """Wait until it is ready; return when, None if it never was."""
        deadline = time.time() + seconds
        while time.time() < deadline:
            if 200 <= ask(self.url, self._app.ready_path, self._app.host_header) < 300:
                return time.time()
            time.sleep(0.05)
        return None

    @staticmethod
    def _remove() -> None:
        run("docker", "rm", "--force", APP, NGINX)
        run("docker", "volume", "rm", "--force", STATE)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
