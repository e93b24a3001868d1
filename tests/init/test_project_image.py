"""`slipway check` without an image: the project's own, with what it has on the host of `slipway up`."""

import json
from pathlib import Path

import pytest

from slipway.controller import project_image
from slipway.controller.build import Build
from slipway.controller.init import run
from slipway.controller.project import Project
from slipway.model.errors import UsageError
from tests.init.repositories import make


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setattr(Build, "run", lambda build: build.log.parent.mkdir(parents=True))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    make("sqlmodel", tmp_path)
    run(tmp_path)
    return Project.find(tmp_path)


def test_variables_settings_test_secrets_and_services(project: Project) -> None:
    image, own = project_image.build(project)
    variables = json.loads(own.variables.read_text())
    assert (image, own.beside) == (f"slipway-app-{project.id}:latest", ["postgres"])
    assert (project.cache / "log").is_dir()  # it was built
    assert own.settings == project.root / "deploy/staging/settings.env"
    assert variables["app_secrets"] == {"SESSION_SECRET": "change-me"}
    assert (variables["app_database"], variables["app_ready_path"]) == ("data", "/ops/health")


def test_an_environment_for_this_machine_needs_no_host_yet(project: Project) -> None:
    variables = project.root / "deploy/local/group_vars/all.yml"
    variables.parent.mkdir(parents=True)
    variables.write_text("app_ready_path: /local\n")
    hosts = project.root / "deploy/local/hosts.yml"
    hosts.write_text("app: {hosts: {local: {}}}\n")
    assert json.loads(project_image.build(project)[1].variables.read_text())["app_ready_path"] == "/local"
    hosts.unlink()
    hosts.symlink_to("nowhere")  # as in a clone of Slipway
    with pytest.raises(UsageError, match="slipway up -- or name an image: slipway check IMAGE"):
        project_image.build(project)


def test_an_image_that_is_named_or_built_by_a_command_is_not_built(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    variables: dict[str, object] = {"release_image": "shop:1"}
    loaded = {"app": {"hosts": ["www1"]}, "_meta": {"hostvars": {"www1": variables}}}
    monkeypatch.setattr("slipway.controller.inventory.load", lambda _: loaded)
    assert project_image.build(project)[0] == "shop:1"
    variables["release_build"] = ["make", "image"]
    with pytest.raises(UsageError, match="then: slipway check IMAGE"):
        project_image.build(project)


def test_what_ssh_reads_has_no_space_in_its_path(tmp_path: Path) -> None:
    folder = make("pdm", tmp_path / "Mein Café & Söhne")
    run(folder)
    project = Project.find(folder)
    assert project.cache.name == f"Mein-Caf-S-hne-{project.id}"
