import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tools.checkout import APP_IMAGES, ROOT

DOCKER = os.environ.get("DOCKER", "docker")
CA = Path(os.environ.get("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt"))


def docker(*arguments: str) -> str:
    done = subprocess.run(
        [DOCKER, *arguments], env={**os.environ, "DOCKER_BUILDKIT": "1"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"docker {' '.join(arguments)}\n{done.stdout}{done.stderr}"
    return done.stdout.strip()


def build(tag: str, *arguments: str, context: Path = ROOT) -> str:
    """Build the image as the Makefile does: with the machine's CA bundle, which must not get into it."""
    secret = [f"--secret=id=ca,src={CA}"] if CA.exists() else []
    command = ("build", *secret, *arguments, "-t", tag, str(context))
    try:
        docker(*command)
    except AssertionError as error:
        # Of Debian 12's BuildKit itself, before it runs anything: seen once, while another build went on.
        if "rpc error: code = Internal desc = unexpected EOF" not in str(error):
            raise
        docker(*command)
    return tag


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder needs Docker, and takes its time."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.image)
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def image() -> str:
    """Give the image under test: $IMAGE, or an image built from this tree."""
    return os.environ.get("IMAGE") or build(f"{APP_IMAGES}:test")


Run = Callable[..., AbstractContextManager[tuple[str, str]]]


@pytest.fixture
def run(image: str) -> Run:
    """Run the image with these options of `docker run`; give the container and its URL."""

    @contextmanager
    def running(*options: str) -> Iterator[tuple[str, str]]:
        container = docker("run", "--detach", "--publish=127.0.0.1::8000", *options, image)
        try:
            yield container, "http://" + docker("port", container, "8000").splitlines()[0]
        finally:
            docker("rm", "--force", container)

    return running
