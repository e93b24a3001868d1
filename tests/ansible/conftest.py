"""Where Ansible's pieces are, for the tests of them."""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
ANSIBLE = ROOT / "ansible"


@pytest.fixture(scope="session")
def library() -> Callable[[str], ModuleType]:
    """Import a module of ansible/library by its name."""
    return lambda name: _load("library", name)


@pytest.fixture(scope="session")
def action() -> Callable[[str], ModuleType]:
    """Import an action of ansible/action_plugins by its name."""
    return lambda name: _load("action_plugins", name)


@pytest.fixture(scope="session")
def filters() -> Callable[[str], ModuleType]:
    """Import filters of ansible/filter_plugins by their file's name."""
    return lambda name: _load("filter_plugins", name)


def run_play(folder: Path, playbook: str = "") -> tuple[int, str]:
    """Run one of our playbooks, or a folder's own play.yml, on the folder's hosts.yml, if it has one.

    Returns:
        The status, and all of the output as one line.
    """
    hosts = folder / "hosts.yml"
    inventory = [f"--inventory={hosts}"] if hosts.exists() else []
    done = subprocess.run(
        [Path(sys.executable).with_name("ansible-playbook"), *inventory, playbook or folder / "play.yml"],
        cwd=ANSIBLE,
        env=os.environ | {"ANSIBLE_CONFIG": str(ANSIBLE / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, " ".join((done.stdout + done.stderr).split())


def _load(folder: str, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"slipway_{folder}_{name}", ANSIBLE / folder / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
