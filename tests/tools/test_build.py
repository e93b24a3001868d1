"""The image of a project: from the right folder, with the commit, and errors before Docker is called."""

import json
import subprocess
from pathlib import Path

import pytest

from slipway.controller.build import Build, commit_of, python_images
from slipway.controller.image.docker import find_docker
from slipway.controller.image.errors import ImageError
from slipway.controller.program import ProgramError
from slipway.controller.project import Project
from tests.wheel import write_shop


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("SLIPWAY_CHECKOUT", raising=False)
    return Project.find(write_shop(tmp_path / "services/api"))


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.com")
    return subprocess.check_output(["git", *identity, "-C", str(folder), *arguments], text=True).strip()


def docker(*arguments: str) -> str:
    return subprocess.check_output([find_docker(), *arguments], text=True).strip()


@pytest.mark.parametrize(
    ("context", "dockerfile", "name"),
    [
        (".", "Dockerfile.prod", "release_dockerfile"),
        (".", "deploy", "release_dockerfile"),
        ("src", "Dockerfile", "release_context"),
        ("main.py", "Dockerfile", "release_context"),
    ],
)
def test_a_path_that_is_not_there_is_named_with_its_variable(
    shop: Project, context: str, dockerfile: str, name: str
) -> None:
    with pytest.raises(ImageError, match=name):
        Build.of(shop, context, dockerfile)


@pytest.mark.parametrize(
    ("text", "images"),
    [
        ("ARG BASE=python:3.13-slim\nFROM ${BASE} AS build\nFROM ${BASE}\n", ["python:3.13-slim"]),
        ("FROM python:3.11-slim AS a\nFROM python:3.12-slim\n", ["python:3.11-slim", "python:3.12-slim"]),
        (
            "FROM python:3.13-slim@sha256:0\nFROM python:3.13-slim-bookworm\nFROM debian:trixie-slim\n# FROM python:3.9-slim\n",
            [],
        ),
    ],
)
def test_the_images_of_python_that_a_dockerfile_names(text: str, images: list[str], tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(text)
    assert python_images(tmp_path / "Dockerfile") == images


def test_a_commit_is_dirty_with_changes_and_none_without_git(shop: Project) -> None:
    assert commit_of(shop.root) == ""
    git(shop.root, "init", "-q")
    assert commit_of(shop.root) == ""
    git(shop.root, "add", "-A")
    git(shop.root, "commit", "-qm", "A shop")
    commit = git(shop.root, "rev-parse", "HEAD")
    assert commit_of(shop.root) == commit
    for inventory in ("deploy/production/hosts.yml", "deploy/staging/hosts.yml", "ansible/inventories/x/hosts.yml"):
        (shop.root / inventory).parent.mkdir(parents=True, exist_ok=True)
        (shop.root / inventory).write_text("app: {hosts: {www1: {ansible_host: 192.0.2.1}}}\n")
    assert commit_of(shop.root) == commit
    (shop.root / "new.py").touch()
    assert commit_of(shop.root) == f"{commit}-dirty"


@pytest.mark.slow
def test_the_context_of_a_monorepo_is_its_top(shop: Project, tmp_path: Path) -> None:
    (tmp_path / "shared.txt").write_text("of all services")
    (shop.root / "Dockerfile").write_text('FROM scratch\nCOPY shared.txt /\nCMD ["/app"]\n')
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "All services")
    try:
        image = Build.of(shop, context="../..").run()
        labels = json.loads(docker("image", "inspect", "--format={{json .Config.Labels}}", image))
        assert labels["org.opencontainers.image.revision"] == git(tmp_path, "rev-parse", "HEAD")
        assert docker("image", "inspect", "--format={{.Id}}", f"slipway-app-{shop.id}:latest") == image
    finally:
        docker("image", "rm", f"slipway-app-{shop.id}:latest")


@pytest.mark.slow
def test_a_stage_with_a_procfile_that_the_dockerfile_does_not_copy(shop: Project) -> None:
    (shop.root / "Dockerfile").write_text(
        'FROM scratch AS run\nWORKDIR /srv\nCMD ["/app"]\nFROM run\nCOPY no-such-file /\n'
    )
    (shop.root / ".dockerignore").write_text("*\n")
    (shop.root / "Procfile").write_text("release: true\n")
    try:
        image = Build.of(shop, target="run", procfile="Procfile").run()
        container = docker("create", image)
        listed = subprocess.check_output([find_docker(), "cp", f"{container}:/srv/Procfile", "-"])
        docker("rm", container)
        assert b"release: true" in listed
        assert docker("image", "inspect", "--format={{.Config.Cmd}}", image) == "[/app]"
    finally:
        docker("image", "rm", f"slipway-app-{shop.id}:latest")


def test_a_procfile_that_is_not_there_is_named(shop: Project) -> None:
    with pytest.raises(ImageError, match="release_procfile"):
        Build.of(shop, procfile="Procfile")


@pytest.mark.slow
def test_a_build_that_fails_shows_the_end_of_its_output(shop: Project) -> None:
    (shop.root / "Dockerfile").write_text("FROM scratch\nCOPY no-such-file /\n")
    with pytest.raises(ProgramError, match=r"(?s)no-such-file.*image\.log"):
        Build.of(shop).run()
