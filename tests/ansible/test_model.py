"""The role `release` and the model: the same manifest, site, protocol, version and reserved names."""

import re
import tomllib
from dataclasses import fields
from typing import Any

import yaml

from slipway import __version__
from slipway.model import PROTOCOL, names
from slipway.model.image import Image
from slipway.model.manifest import Manifest
from slipway.model.site import Site
from tests.ansible.conftest import ANSIBLE


def variables() -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load((ANSIBLE / "roles/release/vars/main.yml").read_text())
    return values


def test_the_role_adds_fields_that_the_manifest_has() -> None:
    added = re.findall(r"'(\w+)':", variables()["__release_manifest"])
    assert {"jobs", "by"} <= set(added) <= {field.name for field in fields(Manifest)}
    sent = Manifest(Image("app", "sha256:1", "amd64", cmd=["serve"])).to_json()
    assert set(added) <= set(sent)


def test_the_role_writes_every_setting_of_the_site() -> None:
    assert set(variables()["__release_config"]) == {field.name for field in fields(Site)}


def test_playbooks_and_engine_speak_the_same_protocol() -> None:
    assert variables()["__release_protocol"] == PROTOCOL


def test_there_is_one_version() -> None:
    project = tomllib.loads((ANSIBLE.parent / "pyproject.toml").read_text())["project"]
    assert project["version"] == __version__


def test_the_role_has_the_models_names_of_jobs() -> None:
    text = (ANSIBLE / "roles/app/tasks/preflight.yml").read_text()
    assert f"'{names.JOB.pattern}$'" in text
