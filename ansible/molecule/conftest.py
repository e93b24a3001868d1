"""What the tests of a host need: who may log in to it, what it answers, and its journal when a test fails."""

import http.client
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pytest
import testinfra
from deploys import HOSTS, NAME

from tools.checkout import APP_IMAGES

CACHE = HOSTS / NAME
DOCKER = "/usr/bin/docker" if os.access("/usr/bin/docker", os.X_OK) else shutil.which("docker") or "docker"


@dataclass
class Answer:
    """What nginx answered to a client outside."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@pytest.fixture(scope="session")
def name() -> str:
    """The host's name."""
    return NAME


@pytest.fixture(scope="session")
def docker() -> str:
    """The docker CLI."""
    return DOCKER


@pytest.fixture(scope="session")
def deployer() -> Any:
    """The host as the user `deploy` sees it, over SSH."""
    return testinfra.get_host(f"ssh://deploy@{NAME}", ssh_config=str(CACHE / "ssh_config"))


@pytest.fixture(scope="session")
def addresses() -> dict[str, str]:
    """Where the site is from outside: `http` and `https`, host and port."""
    inventory = json.loads((CACHE / "inventory.yml").read_text().split("\n", 1)[1])
    variables = inventory["app"]["hosts"][NAME]
    return {"http": variables["test_url"].split("//")[1], "https": variables["test_tls_url"].split("//")[1]}


@pytest.fixture(scope="session")
def ask(addresses: dict[str, str]) -> Callable[..., Answer]:
    """Ask nginx for a path, as a client outside the host does."""

    def request(
        path: str, *, method: str = "GET", body: bytes | str | None = None, host: str = "localhost", **headers: str
    ) -> Answer:
        with closing(http.client.HTTPConnection(addresses["http"], timeout=60)) as connection:
            connection.request(method, path, body=body, headers={"Host": host, **headers})
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())

    return request


@pytest.fixture
def status(deployer: Any) -> Any:
    """What the engine says of the host."""
    return json.loads(deployer.check_output("slipway status --json"))


@pytest.fixture(scope="session")
def image() -> Callable[[str], str]:
    """Tell the id of one of the story's images."""

    def inspect(tag: str) -> str:
        command = [DOCKER, "image", "inspect", "--format={{.Id}}", f"{APP_IMAGES}:molecule-{tag}"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    return inspect


@pytest.fixture
def environment(host: Any, status: Any) -> dict[str, str]:
    """The environment of the app's process that serves."""
    pid = host.check_output(f"systemctl show --property=MainPID --value app@{status['live']}.service")
    lines = host.check_output(f"cat /proc/{pid}/environ").split("\0")
    return dict(line.partition("=")[::2] for line in lines if line)


@pytest.fixture
def live(ask: Any, status: Any, image: Callable[[str], str], environment: dict[str, str]) -> Callable[[str, str], None]:
    """Check that an image is live with a setting: by the engine's word, nginx's answer and the app's environment."""

    def check(tag: str, greeting: str) -> None:
        assert status["state"] == "healthy"
        assert status["image"] == image(tag)
        version = ask("/version").json
        assert version["release"] == status["live"]
        assert version["image"] == image(tag)
        assert environment["GREETING"] == greeting

    return check


@pytest.fixture(scope="module")
def brief_watch(host: Any) -> Generator[None, None, None]:
    """A deploy takes seconds, and none fails since the machine is busy: how a release is watched is tried elsewhere."""
    host.check_output("cp /etc/slipway/config.json /root/config.json")
    host.check_output('sed -i \'s/"watch_seconds": [0-9]*/"watch_seconds": 1/\' /etc/slipway/config.json')
    yield
    host.check_output("mv /root/config.json /etc/slipway/config.json")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Print the journal's end beside a test that failed."""
    report = yield
    host = getattr(item, "funcargs", {}).get("host")
    if report.failed and host is not None:
        said = host.run(
            "journalctl --namespace=+app --no-pager -n 40 -u 'deploy@*' -u 'migrate@*' -u nginx -u recover; journalctl --namespace=+app -n 15 -u 'app@*';"
            " tail -n 10 /var/log/nginx/error.log"
        )
        report.sections.append(("journal", said.stdout))
    return report
