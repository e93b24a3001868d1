"""The docker CLI, for local hosts and their images."""

import os
import subprocess

from slipway.controller.image.docker import find_docker
from slipway.controller.local import HostError

EXECUTABLE = find_docker()
# Build secrets; the default only since Docker 23.
BUILDKIT = {"DOCKER_BUILDKIT": "1"}


def docker(*args: str, stdin: bytes | None = None) -> str:
    """Run docker and return its output.

    Raises:
        HostError: it fails; the text is docker's own.
    """
    try:
        result = subprocess.run(
            [EXECUTABLE, *args], input=stdin, capture_output=True, env=os.environ | BUILDKIT, check=False
        )
    except OSError as error:
        raise HostError(
            f"{EXECUTABLE} cannot be run ({error.strerror}). Install Docker: apt-get install docker.io"
        ) from None
    if result.returncode:
        raise HostError(f"docker {args[0]} failed: {result.stderr.decode(errors='replace').strip()[-2000:]}")
    return result.stdout.decode().strip()
