"""The images of a project in its registry."""

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from slipway.controller.image.docker import find_docker
from slipway.controller.pipeline import PipelineError

DIGEST = re.compile(r"[A-Za-z0-9./:_-]+@sha256:[0-9a-f]{64}")
IMAGE_ID = re.compile(r"sha256:[0-9a-f]{64}")
REVISION = "org.opencontainers.image.revision"


def check_digest(image: str) -> None:
    """Require an image's digest: that is what is signed, and a tag can be moved.

    Raises:
        PipelineError: it is named in another way.
    """
    if not DIGEST.fullmatch(image):
        raise PipelineError(f"{image!r} is not an image by digest. Type name@sha256:... as the run's page has it.")


def name() -> str:
    """Return where the project's images are kept, without a tag.

    Raises:
        PipelineError: none is configured.
    """
    if name := os.environ.get("SLIPWAY_REGISTRY"):
        return name
    if repository := os.environ.get("GITHUB_REPOSITORY"):
        return f"ghcr.io/{repository.lower()}"
    raise PipelineError("No registry. Set where images are kept: SLIPWAY_REGISTRY=registry.example.com/app")


@contextmanager
def login(image: str) -> Iterator[dict[str, str]]:
    """Log in to an image's registry. Yields the environment for docker and cosign.

    GitHub's own token goes to GitHub's registry only. Without a password: whatever this login has already.

    Raises:
        PipelineError: the registry refuses.
    """
    host = image.partition("/")[0]
    user, password = os.environ.get("REGISTRY_USERNAME", ""), os.environ.get("REGISTRY_PASSWORD", "")
    if host == "ghcr.io" and not password and (token := os.environ.get("GITHUB_TOKEN")):
        user, password = os.environ.get("GITHUB_ACTOR", ""), token
    if not password:
        yield dict(os.environ)
        return
    # Not into the home of the user who runs this.
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"DOCKER_CONFIG": folder}
        docker("login", host, f"--username={user}", "--password-stdin", stdin=password, environment=environment)
        yield environment


def docker(*arguments: str, stdin: str = "", environment: Mapping[str, str] | None = None) -> str:
    """Run docker. Returns what it prints.

    Raises:
        PipelineError: it fails.
    """
    done = subprocess.run(
        [find_docker(), *arguments], input=stdin, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise PipelineError(f"docker {arguments[0]} {arguments[-1]}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout.strip()


def inspect(image: str) -> dict[str, Any]:
    """Return what docker knows of an image on this machine.

    Raises:
        PipelineError: there is none of that name or id.
    """
    found: dict[str, Any] = json.loads(docker("image", "inspect", image))[0]
    return found


def commit(inspected: Mapping[str, Any]) -> str:
    """Return the commit that an image was built from; empty if it does not say."""
    return str((inspected["Config"].get("Labels") or {}).get(REVISION, ""))


def pulled(image: str, environment: Mapping[str, str]) -> dict[str, Any]:
    """Return what docker knows of an image, which is pulled if it is not here.

    Raises:
        PipelineError: it cannot be pulled.
    """
    try:
        return inspect(image)
    except PipelineError:
        docker("pull", "--quiet", image, environment=environment)
        return inspect(image)
