"""The images of the tests: releases of the app, its database and broker, and what holds a pod's namespaces."""

import os
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from labs.command import ROOT, run
from labs.images import build_app
from tests.kubernetes.configuration import PAUSE
from tools.checkout import APP_IMAGES

FOLDER = Path(__file__).with_name("images")
GO = ROOT / ".cache/go/go/bin/go"
FIRST = f"{APP_IMAGES}:kubernetes"
RELEASES = ("second", "import-fails", "never-ready", "migration-fails")
SERVICES = ("postgres", "valkey")


def release(name: str) -> str:
    """Return the name of a release's image; `first` is the app as it is."""
    return FIRST if name == "first" else f"{FIRST}-{name}"


def service(name: str) -> str:
    """Return the name of a service's image: those of Compose are rebuilt under a name of this checkout's."""
    return f"{APP_IMAGES}:kubernetes-{name}"


def build() -> list[str]:
    """Build all images and return their names."""
    build_app(FIRST)
    for name in SERVICES:
        _docker(
            f"--file={ROOT / 'compose/Dockerfile'}",
            f"--target={name}",
            f"--tag={service(name)}",
            *_certificate(),
            str(ROOT),
        )
    pause = PAUSE.removeprefix("docker.io/library/")
    with TemporaryDirectory() as context:
        shutil.copytree(FOLDER, context, dirs_exist_ok=True)
        environment = os.environ | {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local"}
        subprocess.run([GO, "build", "-ldflags=-s -w", "pause.go"], cwd=context, env=environment, check=True)
        tags = {"pause": pause} | {name: release(name) for name in RELEASES}
        for name, tag in tags.items():
            _docker(f"--build-arg=APP={FIRST}", f"--target={name}", f"--tag={tag}", context)
    return [FIRST, *map(release, RELEASES), *map(service, SERVICES), pause]


def _certificate() -> list[str]:
    bundle = ROOT / ".cache/extra-ca.pem"
    return [f"--secret=id=ca,src={bundle}"] if bundle.exists() else []


def _docker(*arguments: str) -> None:
    run("docker", "build", "--quiet", *arguments)
