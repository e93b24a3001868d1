"""The whole of compose.yaml, brought up for real, once for all tests here."""

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tools.checkout import CHECKOUT, ROOT

PROJECT = f"slipway-{CHECKOUT}-test"


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Compose:
    """A project of its own, with its own port, volumes and passwords; `tree` is where its files are."""

    def __init__(self, tree: Path, secrets: Path, *files: str) -> None:
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            self.port = sock.getsockname()[1]
        self.tree = tree
        self.files = [f"--file={tree / file}" for file in files]
        self.env = {**os.environ, "HTTP_PORT": str(self.port), "SECRETS": str(secrets)}

    def __call__(self, *arguments: str, check: bool = True) -> str:
        done = subprocess.run(
            [ROOT / "tools/compose", "--progress=plain", f"--project-name={PROJECT}", *self.files, *arguments],
            env=self.env, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert not check or done.returncode == 0, f"compose {' '.join(arguments)}\n{done.stdout}{done.stderr}"
        return done.stdout

    def containers(self) -> dict[str, dict[str, Any]]:
        lines = self("ps", "--all", "--format=json").splitlines()
        return {container["Name"]: container for container in map(json.loads, lines)}

    def ask(self, path: str, method: str = "GET", body: Any = None, host: str = "localhost") -> Answer:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Host": host, "Content-Type": "application/json"},
        )
        try:
            with urllib.request.build_opener(Stay).open(request, timeout=20) as answer:
                return Answer(answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, {k.lower(): v for k, v in error.headers.items()}, error.read())


class Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def within(seconds: float, what: Callable[[], Any]) -> Any:
    """Give the first true value of `what`."""
    limit = time.monotonic() + seconds
    while not (value := what()):
        assert time.monotonic() < limit, f"not within {seconds} s"
        time.sleep(0.3)
    return value


@pytest.fixture(scope="session")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("secrets")


@pytest.fixture(scope="session")
def project(secrets: Path) -> Iterator[Compose]:
    """Three containers of the app, as the image has it: without compose.override.yaml."""
    compose = Compose(ROOT, secrets, "compose.yaml")
    compose("down", "--volumes", "--timeout=5")
    try:
        compose("up", "--build", "--detach", "--wait", "--scale=app=3")
        yield compose
    except AssertionError:
        print(compose("ps", "--all", check=False), compose("logs", "--tail=30", check=False))
        raise
    finally:
        compose("down", "--volumes", "--timeout=5", check=False)
