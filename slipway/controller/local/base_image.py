"""Base images like debian:trixie-slim: pulled where a registry answers, else built from the system's own archive.

python:X.Y-slim is one, too, since the Dockerfiles of `slipway init` are built on it.
"""

import fcntl
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from slipway.controller import certificates, resources
from slipway.controller.local import HostError, archive
from slipway.controller.local.docker import EXECUTABLE, docker
from slipway.controller.program import progress
from slipway.controller.project import shared_cache

_NAME = re.compile(r"(?:debian:([a-z]+)-slim|ubuntu:([0-9]{2}\.04)|python:(3\.[0-9]+)-slim)\Z")
_PYTHONS = {"3.11": "bookworm", "3.13": "trixie"}
"""The versions of Python that Debian has, and its release."""
_PULL_SECONDS = 300


def ensure(image: str = "debian:trixie-slim") -> None:
    """Make sure that a base image is on this machine, with the digest of tools/base/Dockerfile if that names one.

    Raises:
        HostError: the name is not a base's, or no registry answers and it cannot be built.
        ProgramError: the build fails.
    """
    match = _NAME.match(image)
    if match is None:
        raise HostError(f"{image} is not a base image. Name one like debian:trixie-slim or ubuntu:24.04")
    with _lock(image):
        digest = _digest(image)
        have = _repository_digests(image)
        # One that was built here has no digest, and stays.
        if have is not None and (not have or not digest or digest in have):
            return
        if _pull(image, digest):
            return
        debian, ubuntu, python = match.groups()
        suite = debian or archive.SUITES.get(ubuntu) or _PYTHONS.get(python)
        if have is not None or suite is None:
            raise HostError(f"The base image {image} cannot be pulled; the log is {_log('pull')}. Check the network.")
        progress(f"No registry answers: building {image} from its system's archive (about a minute)")
        if python:
            _build_python(image, f"debian:{suite}-slim")
        else:
            archive.build(image, suite)


@contextmanager
def _lock(image: str) -> Iterator[None]:
    shared_cache().mkdir(parents=True, exist_ok=True)
    with (shared_cache() / f"base-image-{image.replace(':', '-')}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _log(name: str) -> Path:
    return shared_cache() / f"{name}.log"


def _digest(image: str) -> str:
    pinned = re.search(rf"^FROM {re.escape(image)}@(\S+)$", resources.BASES.read_text(), re.MULTILINE)
    return pinned[1] if pinned else ""


def _repository_digests(image: str) -> str | None:
    """Return the digests that registries know the image by, None if it is not on this machine."""
    try:
        return docker("image", "inspect", '--format={{join .RepoDigests " "}}', image)
    except HostError:
        return None


def _pull(image: str, digest: str) -> bool:
    pinned = f"{image}@{digest}" if digest else image
    progress(f"Pulling {pinned}")
    with _log("pull").open("wb") as log:
        try:
            pulled = subprocess.run(
                [EXECUTABLE, "pull", "--quiet", pinned],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                timeout=_PULL_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return False
    if pulled.returncode:
        return False
    docker("tag", pinned, image)
    return True


def _build_python(image: str, debian: str) -> None:
    ensure(debian)
    options = [f"--build-arg=BASE={debian}", f"--tag={image}", *certificates.build_options()]
    docker("build", *options, str(resources.BASES.parent / "python"))
