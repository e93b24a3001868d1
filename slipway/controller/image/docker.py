"""The docker CLI: inspecting an image, pulling it, and exporting its file system."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from slipway.controller.image.errors import ImageError


class Docker:
    """The commands of the docker CLI that a deploy needs."""

    def __init__(self, executable: str) -> None:
        self.executable = executable

    def inspect(self, name: str, *, pull: bool) -> dict[str, Any]:
        """Return the image's `docker image inspect`, pulling the image when it is not on this machine.

        Raises:
            ImageError: docker does not answer, or there is no such image.
        """
        found = self._run("image", "inspect", name)
        if found.returncode and "no such image" not in found.stderr.lower():
            raise ImageError(
                f"docker does not answer: {found.stderr.strip()}. Start it (or point release_docker at another "
                "executable), then deploy again."
            )
        if found.returncode and pull:
            pulled = self._run("pull", "--quiet", name)
            if pulled.returncode:
                raise ImageError(
                    f"The image {name!r} is not on this machine and cannot be pulled: {pulled.stderr.strip()}. "
                    "Name one that exists (-e release_image=...; `docker image ls` lists those that are here), or "
                    "leave release_image out to build one from the working tree."
                )
            found = self._run("image", "inspect", name)
        if found.returncode:
            raise ImageError(f"The image {name!r} is not on this machine. Build or pull it first: docker pull {name}")
        inspected: dict[str, Any] = json.loads(found.stdout)[0]
        return inspected

    @contextmanager
    def exported(self, image_id: str) -> Iterator[IO[bytes]]:
        """Yield the image's file system as a tar stream.

        Raises:
            ImageError: docker cannot make a container of it, or the stream broke off.
        """
        created = self._run("create", "--network=none", image_id)
        if created.returncode:
            raise ImageError(f"docker cannot make a container of {image_id}: {created.stderr.strip()}")
        container = created.stdout.strip()
        try:
            with subprocess.Popen([self.executable, "export", container], stdout=subprocess.PIPE) as export:
                assert export.stdout is not None
                yield export.stdout
                export.stdout.read()
            if export.returncode:
                raise ImageError(f"docker export of {image_id} ended with status {export.returncode}. Try again.")
        finally:
            self._run("rm", "--force", "--volumes", container)

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run([self.executable, *arguments], capture_output=True, text=True, check=False)
        except OSError as error:
            raise ImageError(
                f"{self.executable} cannot be run ({error.strerror}). Images are read by docker: install it, or set "
                "release_docker to where it is."
            ) from error


def find_docker() -> str:
    """Return the docker CLI: the distribution's where there is one, else the first in PATH."""
    return "/usr/bin/docker" if os.access("/usr/bin/docker", os.X_OK) else "docker"


HOW_TO_START = "sudo systemctl start docker; sudo usermod -aG docker $USER, and log in again"


def require_daemon() -> None:
    """Verify that Docker answers, before what fails for want of it looks for another cause.

    Raises:
        ImageError: it is not installed, its daemon does not run, or this user may not use it.
    """
    try:
        done = subprocess.run([find_docker(), "version"], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    except OSError:
        raise ImageError("Docker is not installed on this machine. On Debian: apt-get install docker.io") from None
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        error = lines[-1] if lines else "docker version fails."
        raise ImageError(f"{error}{'' if error.endswith(('.', '?')) else '.'} Type: {HOW_TO_START}")
