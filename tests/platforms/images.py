"""Images of the tests on other platforms: releases of the app, and the services of Compose beside it."""

from pathlib import Path

from labs.command import ROOT, run
from labs.images import build_app
from tools.checkout import APP_IMAGES

FOLDER = Path(__file__).with_name("releases")
FIRST = f"{APP_IMAGES}:platforms"
RELEASES = ("second", "import-fails", "never-ready", "answers-500", "leaks", "migration-fails")


def release(name: str) -> str:
    """Return the name of a release's image; `first` is the app as it is."""
    return FIRST if name == "first" else f"{FIRST}-{name}"


def service(name: str) -> str:
    """Return the name of a service's image: those of Compose are rebuilt under a name of this checkout's."""
    return f"{FIRST}-{name}"


def build(*services: str) -> list[str]:
    """Build the releases and these services, and return the names of all images."""
    build_app(FIRST)
    for name in services:
        file = ROOT / "compose/Dockerfile"
        docker_build(f"--file={file}", f"--target={name}", f"--tag={service(name)}", *_certificate(), str(ROOT))
    for name in RELEASES:
        docker_build(f"--build-arg=APP={FIRST}", f"--target={name}", f"--tag={release(name)}", str(FOLDER))
    return [FIRST, *map(release, RELEASES), *map(service, services)]


def docker_build(*arguments: str) -> None:
    """Run `docker build`.

    Raises:
        LabError: it failed.
    """
    run("docker", "build", "--quiet", *arguments)


def _certificate() -> list[str]:
    bundle = ROOT / ".cache/extra-ca.pem"
    return [f"--secret=id=ca,src={bundle}"] if bundle.exists() else []
