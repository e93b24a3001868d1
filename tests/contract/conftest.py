"""The images that are checked: the strangers of the Molecule scenario, and some that are made here."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import ansible.module_utils
import pytest

ROOT = Path(__file__).resolve().parents[2]
STRANGERS = ROOT / "ansible/molecule/strangers"
DOCKER = "/usr/bin/docker" if Path("/usr/bin/docker").exists() else "docker"

# As Ansible does it when it puts a module together.
ansible.module_utils.__path__.append(str(ROOT / "ansible/module_utils"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Most of this folder builds and runs images."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.slow)


@dataclass
class Checked:
    """What the tool said: its exit status, each line's state, and all of its words."""

    status: int
    states: dict[str, str]
    words: str

    @property
    def broken(self) -> list[str]:
        """The lines that are not ok."""
        return [line for line, state in self.states.items() if state == "not ok"]


def check(image: str, *options: str, breach: str | None = None) -> Checked:
    """Check an image with the tool, as a person would."""
    settings = [f"--settings={STRANGERS}/breaches/{breach}.env"] if breach else []
    command = [sys.executable, str(ROOT / "tools/contract"), image, *settings, *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    states = {}
    for line in done.stdout.splitlines():
        state, text = line[:15].strip(), line[16:]
        if state in {"ok", "not ok", "cannot be seen"}:
            states[text] = state
    return Checked(done.returncode, states, " ".join((done.stdout + done.stderr).split()))


def build(tag: str, dockerfile: str) -> str:
    """Build an image of a few lines that need no files."""
    run("build", f"--tag=slipway-stranger:{tag}", "-", given=dockerfile)
    return f"slipway-stranger:{tag}"


def run(*arguments: str, given: str | None = None) -> str:
    done = subprocess.run([DOCKER, *arguments], input=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def strangers() -> str:
    """Build the scenario's images; all but the first time nothing is to be done. Gives their repository."""
    for base in ("debian:trixie-slim", "debian:bookworm-slim"):
        subprocess.run([ROOT / "tools/base-image", base], check=True, stdin=subprocess.DEVNULL)
    subprocess.run([ROOT / "tools/image", "build", "--tag", "slipway-stranger:ours"], check=True, capture_output=True)
    folder = STRANGERS / "images"
    for tag in ("gunicorn", "uvicorn", "breach", "thread", "control"):
        run("build", f"--tag=slipway-stranger:{tag}", f"--file={folder}/{tag}.Dockerfile", str(folder))
    return "slipway-stranger"
