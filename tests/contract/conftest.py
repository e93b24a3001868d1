"""The images under test: those of the Molecule scenario third_party_images, and some built here."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tools.checkout import ROOT, THIRD_PARTY_IMAGES

SCENARIO = ROOT / "ansible/molecule/third_party_images"
DOCKER = "/usr/bin/docker" if Path("/usr/bin/docker").exists() else "docker"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark this folder's tests as slow: most build and run images."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.slow)


@dataclass
class Checked:
    """The result of tools/contract: exit status, state of each line, and the whole output on one line."""

    status: int
    states: dict[str, str]
    output: str

    @property
    def broken(self) -> list[str]:
        """List the lines that are not ok."""
        return [line for line, state in self.states.items() if state == "not ok"]


def check(image: str, *options: str, breach: str | None = None) -> Checked:
    """Run tools/contract on an image."""
    settings = [f"--settings={SCENARIO}/breaches/{breach}.env"] if breach else []
    command = [sys.executable, str(ROOT / "tools/contract"), image, *settings, *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    states = {}
    for line in done.stdout.splitlines():
        state, text = line[:15].strip(), line[16:]
        if state in {"ok", "not ok", "cannot be seen"}:
            states[text] = state
    return Checked(done.returncode, states, " ".join((done.stdout + done.stderr).split()))


def build(tag: str, dockerfile: str | None, folder: Path | None = None) -> str:
    """Build an image from a Dockerfile that needs no files, or from a folder."""
    run("build", f"--tag={THIRD_PARTY_IMAGES}:{tag}", str(folder) if folder else "-", stdin=dockerfile)
    return f"{THIRD_PARTY_IMAGES}:{tag}"


def run(*arguments: str, stdin: str | None = None) -> str:
    done = subprocess.run([DOCKER, *arguments], input=stdin, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def third_party_images() -> str:
    """Build the scenario's images, from the second time on out of the cache. Returns the images' repository."""
    for base in ("debian:trixie-slim", "debian:bookworm-slim"):
        subprocess.run([ROOT / "tools/base-image", base], check=True, stdin=subprocess.DEVNULL)
    subprocess.run(
        [ROOT / "tools/image", "build", "--tag", f"{THIRD_PARTY_IMAGES}:ours"], check=True, capture_output=True
    )
    folder = SCENARIO / "images"
    for tag in ("gunicorn", "uvicorn", "breach", "thread", "control", "port"):
        run(
            "build",
            f"--tag={THIRD_PARTY_IMAGES}:{tag}",
            f"--build-arg=IMAGES={THIRD_PARTY_IMAGES}",
            f"--file={folder}/{tag}.Dockerfile",
            str(folder),
        )
    return THIRD_PARTY_IMAGES
