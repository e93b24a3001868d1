"""Deploy by `docker rm -f` and `docker run -p 127.0.0.1:...`, behind nginx with the baseline's site.

On the same machine, with the same image, settings and secrets. In its favour: the image is on the machine before the
clock starts, the container restarts by itself, and an operator looks at each deploy and undoes it after ten seconds.
"""

import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from labs.baseline import SITE
from labs.command import ROOT, LabError, run
from labs.host import sum_of_pss_mb
from labs.http import request
from labs.report.record import Deploy
from slipway.report.routing import Phase
from tools.checkout import TRIAL

APP = f"{TRIAL}-app"
NGINX = f"{TRIAL}-nginx"
STATE = f"{TRIAL}-state"
STATE_DIRECTORY = "/var/lib/app"
NOTICE_SECONDS = 10
"""Until an operator notices that a version is broken."""
START_SECONDS = 60
"""For a version to become ready; a second on an idle machine."""


@dataclass(frozen=True)
class App:
    """How to run any version of the app."""

    port: int
    """The image listens on it in its container."""
    ready_path: str
    host_header: str
    environment: Mapping[str, str]
    release_command: str | None = None
    """Runs before a version starts: `release:` of the Procfile."""
    release_environment: Mapping[str, str] | None = None
    """Its environment; None: the same."""
    volumes: Mapping[str, str] = field(default_factory=dict)
    """Folders that the container shares: the path here, and the path in it."""


class DockerRun:
    """The containers of the app and of nginx, for as long as a block runs."""

    def __init__(self, app: App, cache: Path) -> None:
        """`cache` is a folder for the configuration of nginx."""
        self._app, self._cache, self._image = app, cache, ""
        self._front, self._back = _free_port(), _free_port()

    def __enter__(self) -> Self:
        self._remove()
        run(str(ROOT / "tools/base-image"))
        run("docker", "build", "--quiet", f"--tag={TRIAL}:nginx", str(ROOT / "labs/baseline"))
        site = self._cache / "site.conf"
        site.write_text(SITE.replace("8080", f"127.0.0.1:{self._front}").replace(":8000", f":{self._back}"))
        # As if nginx were installed on the machine: its network, and its processes to measure their memory.
        options = [
            "--network=host",
            "--pid=host",
            "--cap-add=SYS_PTRACE",
            f"--volume={site}:/etc/nginx/conf.d/app.conf:ro",
        ]
        run("docker", "run", "--detach", f"--name={NGINX}", *options, f"{TRIAL}:nginx")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._remove()

    @property
    def url(self) -> str:
        """The URL at which nginx listens."""
        return f"http://127.0.0.1:{self._front}"

    def first(self, image: str) -> None:
        """Start the first version.

        Raises:
            LabError: it does not become ready, so there is nothing to compare with.
        """
        self._make_state(image)
        self._migrate(image)
        self._run(image)
        if self._wait(START_SECONDS) is None:
            output = run("sh", "-c", f"docker logs --tail 5 {APP} 2>&1")
            raise LabError(
                f"under `docker run` the image was not ready on port {self._app.port} within {START_SECONDS} s "
                f"(for another port: PORT=...); the end of its log:\n{output}"
            )

    def deploy(self, name: str, what: str, image: str, *, bad: bool = False, migrate: bool = True) -> Deploy:
        """Replace the running version. A bad version is undone when the operator notices."""
        deploy = Deploy(name, what, time.time(), 0.0, kind="bad" if bad else "good", release=image, before=self._image)
        old = self._image
        self._replace(deploy, image, NOTICE_SECONDS if bad else START_SECONDS, migrate=migrate)
        if bad:
            at, started = time.time(), deploy.phases[-1].at
            time.sleep(max(0.0, started + NOTICE_SECONDS - at))
            deploy.phases.append(Phase("operator notices", at, time.time() - at))
            deploy.cause = f"noticed by an operator after {NOTICE_SECONDS} s, and undone"
            self._replace(deploy, old, START_SECONDS, migrate=False)
        deploy.live = not bad
        deploy.live_at = None if bad else deploy.phases[-1].end
        deploy.ended_at = time.time()
        return deploy

    def rollback(self, name: str, image: str) -> Deploy:
        """Return to an earlier image."""
        deploy = self.deploy(name, "the same, with the earlier image", image, migrate=False)
        deploy.kind = "rollback"
        return deploy

    def memory_mb(self) -> float:
        """Return the memory of the app's processes in MB; shared pages count once (PSS)."""
        processes = run("docker", "top", APP, "-o", "pid").split()[1:]
        files = [f"/proc/{process}/smaps_rollup" for process in processes]
        return sum_of_pss_mb(run("docker", "exec", NGINX, "grep", "--no-filename", "^Pss:", *files))

    def _replace(self, deploy: Deploy, image: str, timeout: float, *, migrate: bool) -> None:
        if migrate and self._app.release_command:
            self._phase(deploy, "migrate", lambda: self._migrate(image))
        self._phase(deploy, "docker rm -f", lambda: run("docker", "rm", "--force", APP))
        self._phase(deploy, "docker run", lambda: self._run(image))
        self._phase(deploy, "unavailable", lambda: self._wait(timeout))

    @staticmethod
    def _phase(deploy: Deploy, name: str, step: Callable[[], object]) -> None:
        at = time.time()
        step()
        deploy.phases.append(Phase(name, at, time.time() - at))

    def _run(self, image: str) -> None:
        options = ["--restart=unless-stopped", f"--publish=127.0.0.1:{self._back}:{self._app.port}", "--init"]
        run("docker", "run", "--detach", f"--name={APP}", *options, *self._options(image, self._app.environment), image)
        self._image = image

    def _migrate(self, image: str) -> None:
        if self._app.release_command:
            environment = (
                self._app.environment if self._app.release_environment is None else self._app.release_environment
            )
            shell = [
                "--rm",
                *self._options(image, environment),
                "--entrypoint=/bin/sh",
                image,
                "-c",
                self._app.release_command,
            ]
            run("docker", "run", *shell)

    def _make_state(self, image: str) -> None:
        """Create a volume that any user may write to."""
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

    def _options(self, image: str, environment: Mapping[str, str]) -> list[str]:
        variables = {"STATE_DIRECTORY": STATE_DIRECTORY, "SLIPWAY_RELEASE": image, **environment}
        volumes = {STATE: STATE_DIRECTORY, **self._app.volumes}
        return [
            *(f"--volume={source}:{target}" for source, target in volumes.items()),
            *(f"--env={name}={value}" for name, value in variables.items()),
        ]

    def _wait(self, seconds: float) -> float | None:
        """Wait until the app is ready. Returns the moment, None after `seconds`."""
        deadline = time.time() + seconds
        while time.time() < deadline:
            if 200 <= request(self.url, self._app.ready_path, host_header=self._app.host_header)[0] < 300:
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
