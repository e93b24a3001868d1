"""What the tests do with a swarm: deploy by the commands of the documentation, look, wait."""

import json
import socket
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

from labs.command import ROOT, progress
from tests.platforms import images
from tests.platforms.page import block
from tests.platforms.traffic import traffic
from tests.platforms.waiting import within
from tests.swarm.engine import Engine

PAGE = ROOT / "docs/how-to/deploy-to-swarm.md"
DATA = Path(__file__).with_name("data.yaml")
SERVICES = ("nginx", "postgres", "valkey")
SECRETS = {
    "database_url": "postgresql://app:for-tests@postgres/app",
    "database_url_owner": "postgresql://owner:for-tests@postgres/app",
    "broker_url": "redis://app:for-tests@valkey:6379/0",
}


@dataclass(frozen=True)
class Update:
    """What the engine says of a service's last change; no state if there was none since it was created or deployed."""

    state: str
    message: str
    image: str


class Swarm:
    """A swarm with the app's network and secrets, its database and its broker."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        """Choose a port; `folder` is where the page's commands run."""
        self.engine, self.folder = engine, folder
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            self.port = str(sock.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"

    def prepare(self) -> None:
        """Do what the page says is done once, and start the database and the broker."""
        for name, value in SECRETS.items():
            (self.folder / name).write_text(value)
        (self.folder / "swarm").symlink_to(ROOT / "swarm")
        done = self._script(block(PAGE, "Once"))
        assert done.returncode == 0, done.stderr
        images.build(*SERVICES)
        done = self._script(
            f"docker stack deploy --detach=false -c {DATA} data",
            POSTGRES_IMAGE=images.service("postgres"),
            VALKEY_IMAGE=images.service("valkey"),
        )
        assert done.returncode == 0, done.stderr

    def deploy(self, release: str) -> CompletedProcess[str]:
        """Deploy by the page's commands until one fails."""
        done = self._script(
            block(PAGE, "Deploy"),
            APP_IMAGE=images.release(release),
            NGINX_IMAGE=images.service("nginx"),
            HTTP_PORT=self.port,
        )
        print(done.stdout[-3000:], done.stderr[-3000:])
        return done

    def _script(self, text: str, **environment: str) -> CompletedProcess[str]:
        # The images are this machine's: no registry has them.
        local = text.replace("docker stack deploy ", "docker stack deploy --resolve-image=never ")
        return self.engine.run("bash", "-euxo", "pipefail", "-c", local, folder=self.folder, **environment)

    def update(self, service: str = "app") -> Update:
        """Return the state of a service's update."""
        (found,) = json.loads(self.engine.docker("service", "inspect", f"site_{service}"))
        status = found.get("UpdateStatus", {})
        image = found["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"]
        return Update(status.get("State", ""), status.get("Message", ""), image)

    def tasks(self, service: str = "app") -> dict[str, dict[str, Any]]:
        """Return the running tasks of a service by their ids."""
        shown = self.engine.docker("service", "ps", "--quiet", "--filter=desired-state=running", f"site_{service}")
        found = json.loads(self.engine.docker("inspect", "--type=task", *shown.split())) if shown else []
        return {one["ID"]: one for one in found if one["Status"]["State"] == "running"}

    def releases(self) -> set[str]:
        """Return the images that the running tasks of the app are of."""
        return {one["Spec"]["ContainerSpec"]["Image"] for one in self.tasks().values()}

    def container(self, service: str = "app") -> str:
        """Return the container of one running task."""
        return str(next(iter(self.tasks(service).values()))["Status"]["ContainerStatus"]["ContainerID"])

    def logs(self, service: str) -> str:
        """Return what a service's tasks have written, also those that have ended."""
        done = self.engine.run("docker", "service", "logs", service)
        return done.stdout + done.stderr

    def ask(self, path: str, body: Any = None) -> Any:
        """Return what the app answers to GET, or to POST if there is a body, as JSON; None for an empty response."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as response:
            text = response.read()
        return json.loads(text) if text else None

    @contextmanager
    def traffic(self, name: str) -> Iterator[dict[str, Any]]:
        """Send traffic while the block runs; fills what it yields."""
        with traffic(self.engine.run, self.url, self.folder / "load", name) as summary:
            yield summary

    def settle(self) -> None:
        """Wait for two tasks of the app, and until none of another one is still ending."""
        within(120, lambda: len(self.tasks()) == 2)
        running = ("label=com.docker.swarm.service.name=site_app", "status=running")
        within(60, lambda: len(self.engine.containers(*running)) == 2)


@contextmanager
def running(folder: Path) -> Iterator[Swarm]:
    """Make the swarm with the first release deployed, and leave it after the block."""
    engine = Engine(folder)
    try:
        engine.start()
        swarm = Swarm(engine, folder)
        swarm.prepare()
        progress("swarm", "the database and the broker run")
        assert swarm.deploy("first").returncode == 0
        progress("swarm", "the app is deployed")
        yield swarm
    finally:
        engine.remove()
