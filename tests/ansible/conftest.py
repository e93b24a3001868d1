"""Where Ansible's pieces are, for the tests of them."""

import importlib.util
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


def _load(folder: str, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"slipway_{folder}_{name}", ANSIBLE / folder / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
