"""The roles' interfaces: what they document is what there is."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from slipway.controller.variables import FACTS
from tests.ansible.conftest import ANSIBLE

ROLES = sorted(path.name for path in (ANSIBLE / "roles").iterdir())
TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "path": (str,),
    "int": (int,),
    "float": (float, int),
    "bool": (bool,),
    "list": (list,),
    "dict": (dict,),
}


def read(role: str, file: str) -> dict[str, Any]:
    path = ANSIBLE / "roles" / role / file
    return yaml.safe_load(path.read_text()) or {}


def options(role: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = read(role, "meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    return found


@pytest.mark.parametrize("role", ROLES)
def test_names_agree(role: str) -> None:
    assert set(read(role, "defaults/main.yml")) == set(options(role))


@pytest.mark.parametrize("role", ROLES)
def test_public_names_have_the_roles_prefix_and_others_two_underscores(role: str) -> None:
    assert all(name.startswith(f"{role}_") for name in read(role, "defaults/main.yml"))
    assert all(name.startswith(f"__{role}_") for name in read(role, "vars/main.yml"))


@pytest.mark.parametrize("role", ROLES)
def test_defaults_are_what_the_specification_allows(role: str) -> None:
    specified = options(role)
    for name, value in read(role, "defaults/main.yml").items():
        if isinstance(value, str) and "{{" in value:
            continue
        assert type(value) in TYPES[specified[name]["type"]], name
        assert value in specified[name].get("choices", [value]), name


@pytest.mark.parametrize("role", ROLES)
def test_each_variable_is_described_and_used(role: str) -> None:
    text = "".join(
        path.read_text() for path in sorted(ANSIBLE.glob("roles/*/[thv]*/*")) + sorted(ANSIBLE.glob("*.yml"))
    )
    defaults = (ANSIBLE / "roles" / role / "defaults/main.yml").read_text()
    for name, option in options(role).items():
        assert option["description"], name
        assert name in text or defaults.count(name) > 1, f"nobody reads {name}"


@pytest.mark.parametrize("environment", ["production", "staging", "local"])
def test_the_example_inventories_use_variables_that_exist(environment: str) -> None:
    known = {name for role in ROLES for name in options(role)}
    variables = yaml.safe_load((ANSIBLE / "inventories" / environment / "group_vars/all.yml").read_text())
    assert set(variables) <= known


def test_plays_say_who_they_are_and_inventories_never_do() -> None:
    for file in ANSIBLE.glob("inventories/*/*.yml"):
        if not file.is_symlink():
            assert "ansible_user" not in file.read_text(), file


INTERNAL = re.compile(rf"__({'|'.join(ROLES)})_\w+")


@pytest.mark.parametrize("role", ROLES)
def test_a_role_reads_no_internals_of_another(role: str) -> None:
    for file in sorted((ANSIBLE / "roles" / role).rglob("*.*")):
        if file.suffix in {".yml", ".j2"}:
            foreign = [found[0] for found in INTERNAL.finditer(file.read_text()) if found[1] != role]
            assert not foreign, f"{file} reads {foreign}: make each a documented variable"


def test_playbooks_read_no_internals() -> None:
    for file in ANSIBLE.glob("*.yml"):
        assert not INTERNAL.search(file.read_text()), file


def test_every_task_file_is_named_by_its_phase() -> None:
    for file in ANSIBLE.glob("roles/*/tasks/*.yml"):
        if file.stem == "main":
            continue
        for task in yaml.safe_load(file.read_text()):
            assert task["name"].startswith(f"{file.stem} | "), f"{file}: {task['name']}"


def test_no_path_of_a_machine() -> None:
    for file in sorted(ANSIBLE.rglob("*.yml")) + sorted(ANSIBLE.rglob("*.py")):
        if not file.is_symlink() and Path("/work") not in file.parents[:0]:
            assert "/work/" not in file.read_text(), file


def test_the_facts_that_roles_set_are_known_names() -> None:
    found = {
        name
        for path in (ANSIBLE / "roles").glob("*/tasks/*.yml")
        for task in yaml.safe_load(path.read_text())
        for name in task.get("ansible.builtin.set_fact", {})
    }
    assert {name for name in found if not name.startswith("__")} == FACTS
