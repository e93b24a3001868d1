"""Where Ansible's pieces are, for the tests of them."""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import ansible.module_utils
import pytest

ROOT = Path(__file__).resolve().parents[2]
ANSIBLE = ROOT / "ansible"

# As Ansible does it when it puts a module together.
ansible.module_utils.__path__.append(str(ANSIBLE / "module_utils"))


@pytest.fixture(scope="session")
def library() -> Callable[[str], ModuleType]:
    """Import a module of ansible/library by its name."""

    def load(name: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(f"slipway_library_{name}", ANSIBLE / "library" / f"{name}.py")
        assert spec and spec.loader
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        return module

    return load
