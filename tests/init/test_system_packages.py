"""Debian's packages for the image, and the Python that the app's packages have wheels for."""

from pathlib import Path, PurePosixPath

import pytest

from slipway.controller.init.manager import Manager
from slipway.controller.init.packages import Packages
from slipway.controller.init.python import python_version
from slipway.controller.init.system_packages import system_packages

TOP = PurePosixPath()


def packages(*names: str, files: tuple[str, ...] = ("requirements.txt",), lock: str = "") -> Packages:
    return Packages(Manager.PIP, TOP, files, lock, frozenset(names))


@pytest.mark.parametrize(
    ("files", "names", "runtime", "build"),
    [
        ({}, {"psycopg2", "python-magic"}, ("libmagic1", "libpq5"), ("gcc", "libc6-dev", "libpq-dev")),
        ({}, {"psycopg", "psycopg[binary]"}, (), ()),
        ({"Dockerfile.dev": "RUN apt-get update && apt-get install -y \\\n  ffmpeg=7.* libxslt1-dev # x\n"}, set(), ("libxslt1-dev",), ("libxslt1-dev",)),
        ({"Dockerfile.dev": "RUN apt-get -qq install -y --no-install-recommends ffmpeg gcc curl && rm -rf x\n"}, set(), ("ffmpeg",), ("gcc",)),
        ({"docker/Dockerfile.old": "RUN apt install -y libgl1-mesa-glx netcat-openbsd libpq-dev"}, set(), ("libgl1",), ()),
        ({"Dockerfile.old": "FROM python:3.13-alpine\nRUN apk add x && apt install -y ffmpeg"}, set(), (), ()),
        ({"Aptfile": "tesseract-ocr\n# no\nhttps://x.example/y.deb\n"}, set(), ("tesseract-ocr",), ()),
        ({"nixpacks.toml": "[phases.setup]\naptPkgs = ['...', 'ghostscript']\n"}, set(), ("ghostscript",), ()),
    ],
)  # fmt: skip
def test_what_other_recipes_install_is_installed(
    files: dict[str, str], names: set[str], runtime: tuple[str, ...], build: tuple[str, ...], tmp_path: Path
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert system_packages(tmp_path, packages(*names)) == (runtime, build)


@pytest.mark.parametrize(
    ("requirements", "version"),
    [
        ("fastapi==0.115\n", "3.13"),
        ("asyncpg==0.27.0\n", "3.11"),
        ("psycopg2_binary==2.9.9 ; sys_platform == 'linux'\nnumpy==2.2\n", "3.12"),
        ("SQLAlchemy[asyncio]==2.0.25\n", "3.12"),
        ("numpy>=1.20\n", "3.13"),
        ("pydantic-core==2.41.5\n", "3.13"),
    ],
)
def test_pinned_packages_have_wheels_for_the_version(requirements: str, version: str, tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text(requirements)
    assert python_version(tmp_path, packages()) == version


@pytest.mark.parametrize(
    ("files", "version"),
    [
        (["a-1-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl", "a-1-cp312-cp312-musllinux_1_1_x86_64.whl"], "3.12"),
        (["a-1-cp313-cp313-win_amd64.whl", "a-1-cp312-cp312-manylinux_2_17_x86_64.whl", "a-1.tar.gz"], "3.12"),
        (["a-1-cp37-abi3-manylinux_2_17_x86_64.whl"], "3.13"),
        (["a-1-cp311-cp311-manylinux_2_17_x86_64.whl", "a-1-py3-none-any.whl"], "3.13"),
        (["a-1.tar.gz"], "3.13"),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "form", ['[[package]]\nname = "a"\nfiles = [{}]\n', '[[package]]\nname = "a"\nwheels = [{}]\n']
)
def test_locked_packages_have_wheels_for_the_version(form: str, files: list[str], version: str, tmp_path: Path) -> None:
    key = "file" if "files" in form else "url"
    (tmp_path / "uv.lock").write_text(form.replace("{}", ", ".join(f'{{{key} = "{name}"}}' for name in files)))
    assert python_version(tmp_path, packages(files=("pyproject.toml", "uv.lock"), lock="uv.lock")) == version


def test_another_files_version_comes_first_if_the_project_allows_it(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[project]\nrequires-python = '>=3.10'\n")
    (tmp_path / "Dockerfile.dev").write_text("FROM python:3.12\n")
    assert python_version(tmp_path, packages()) == "3.13"
    (tmp_path / "Dockerfile").write_text("FROM python:3.12\n")
    assert python_version(tmp_path, packages()) == "3.12"
