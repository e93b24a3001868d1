"""docs/reference/variables.md is what tools/variables makes of the roles' specifications."""

import subprocess
import sys
from typing import Any

import pytest
import yaml

from tests.docs.conftest import ROOT

ROLES = sorted(path.name for path in (ROOT / "ansible/roles").iterdir())


def read(role: str, file: str) -> dict[str, Any]:
    return yaml.safe_load((ROOT / "ansible/roles" / role / file).read_text()) or {}


def test_the_page_is_fresh() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tools/variables", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("role", ROLES)
def test_a_computed_default_is_described(role: str) -> None:
    options = read(role, "meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    for name, value in read(role, "defaults/main.yml").items():
        if isinstance(value, str) and "{{" in value:
            assert "efault" in options[name]["description"], f"say what the default of {name} is"


@pytest.mark.parametrize("role", ROLES)
def test_a_variable_is_described_in_one_place(role: str) -> None:
    comments = [
        line
        for line in (ROOT / "ansible/roles" / role / "defaults/main.yml").read_text().splitlines()
        if line.startswith("#")
    ]
    assert len(comments) <= 6, f"describe the variables of {role} in meta/argument_specs.yml, not in defaults/main.yml"
