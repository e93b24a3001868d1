"""The images of a cluster's tests: those of every platform, and what holds a pod's namespaces."""

import os
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from labs.command import ROOT
from tests.kubernetes.configuration import PAUSE
from tests.platforms import images

FOLDER = Path(__file__).with_name("pause")
GO = ROOT / ".cache/go/go/bin/go"
SERVICES = ("postgres", "valkey")


def build() -> list[str]:
    """Build all images and return their names."""
    pause = PAUSE.removeprefix("docker.io/library/")
    with TemporaryDirectory() as context:
        shutil.copytree(FOLDER, context, dirs_exist_ok=True)
        environment = os.environ | {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local"}
        subprocess.run([GO, "build", "-ldflags=-s -w", "pause.go"], cwd=context, env=environment, check=True)
        images.docker_build(f"--tag={pause}", context)
    return [*images.build(*SERVICES), pause]
