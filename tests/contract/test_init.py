"""The Dockerfiles that `slipway init` writes build an image that keeps the contract, for each manager of dependencies."""

import subprocess
from pathlib import Path

import pytest

from slipway.controller import certificates
from slipway.controller.init import run as init
from slipway.controller.local import base_image
from tests.contract.conftest import check, run
from tests.init.repositories import make
from tools.checkout import CHECKOUT, ROOT

BASE = "python:3.13-slim"
"""Other versions of Python have no image where no registry answers."""
UV = ROOT / ".cache/uv/bin/uv"
LOCKS = {
    "sqlmodel": ["lock"],
    "monorepo": ["lock"],
    "workspace": ["lock"],
    "poetry": ["tool", "run", "poetry@2.5.1", "lock"],
    "pdm": ["tool", "run", "--with=hishel<2", "pdm@2.29.4", "lock"],
    "pipenv": ["tool", "run", "pipenv@2026.10.3", "lock"],
}
"""What writes the lock that a repository of somebody else has already."""
OPTIONS: dict[str, list[str]] = {
    "sqlmodel": ["--with=postgres", "-e", "app_database=data"],
}
others = pytest.mark.catalogue


@pytest.fixture(scope="session")
def python_image() -> str:
    """Pull or build the base image. Returns its name."""
    base_image.ensure(BASE)
    return BASE


@pytest.mark.parametrize(
    ("name", "context"),
    [
        ("poetry", "."),
        pytest.param("sqlmodel", ".", marks=others),
        pytest.param("requirements", ".", marks=others),
        pytest.param("monorepo", "services/api", marks=others),
        pytest.param("large", ".", marks=others),
        pytest.param("pdm", ".", marks=others),
        pytest.param("workspace", ".", marks=others),
        pytest.param("pipenv", ".", marks=others),
        pytest.param("setuptools", ".", marks=others),
    ],
)
def test_the_image_of_a_repository_keeps_the_contract(
    name: str, context: str, python_image: str, tmp_path: Path
) -> None:
    folder = make(name, tmp_path / name)
    project = folder / context / "pyproject.toml"
    if project.exists():  # the base image's Python is newer
        project.write_text(project.read_text().replace(",<3.13", ""))
    if name in LOCKS:
        for lock in folder.rglob("*.lock"):
            lock.unlink()
        subprocess.run([UV, *LOCKS[name]], cwd=folder / context, check=True, capture_output=True)
    init(folder)
    tag = f"slipway-init-{CHECKOUT}:{name}"
    run(
        "build",
        f"--tag={tag}",
        f"--build-arg=BASE={python_image}",
        *certificates.build_options(),
        f"--file={folder / context}/Dockerfile",
        str(folder / context),
    )
    production = folder / "deploy/production"
    secrets = production / "secrets.example.yml"
    checked = check(
        tag,
        f"--settings={production}/settings.env",
        f"--extra-vars=@{production}/group_vars/all.yml",
        *([f"--extra-vars=@{secrets}"] if secrets.exists() else []),
        *OPTIONS.get(name, []),
    )
    run("rmi", tag)
    assert (checked.status, checked.broken) == (0, []), checked.output
