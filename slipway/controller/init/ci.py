"""The command that runs a repository's tests in CI, where uv is installed, and whatever uv runs."""

import re
import shlex
from pathlib import Path

from slipway.controller.init.manager import VERSIONS, Manager
from slipway.controller.init.packages import Packages
from slipway.controller.init.requirements import SETUP, listed
from slipway.controller.init.sources import Sources
from slipway.controller.init.text import read, toml

TEST = re.compile(r"test_\w+\.py|\w+_test\.py")
DEVELOPMENT = ("requirements-dev.txt", "requirements-test.txt", "requirements/dev.txt", "requirements/test.txt")
PYTEST = "python -m pytest"
"""With the folder on the path, as an app that is no package needs."""


def find_tests(folder: Path, sources: Sources, packages: Packages, python: str) -> str:
    """Return a shell's command for the tests with the packages that the lock has; empty without tests, or unknown.

    Args:
        folder: the repository.
        sources: its Python files.
        packages: how the app's dependencies are declared.
        python: the version that the image is for.
    """
    workdir = packages.folder / packages.workdir
    if not any(TEST.fullmatch(each.path.name) and each.path.is_relative_to(workdir) for each in sources.modules):
        return ""
    command = _command(folder / workdir, packages, python)
    return f"cd {shlex.quote(str(workdir))} && {command}" if command and workdir.parts else command


def _command(here: Path, packages: Packages, python: str) -> str:
    declaring = here / packages.project
    declares = "pytest" in read(declaring / "pyproject.toml")
    project = f" --project {packages.project}" if packages.project.parts else ""
    match packages.manager:
        case Manager.PYPROJECT if packages.declaring in SETUP:
            return f"uv run --no-project --python {python} --with-editable . --with pytest {PYTEST}"
        case Manager.PIPENV if "pytest" in read(here / "Pipfile"):
            pipenv = f"uvx pipenv@{VERSIONS['pipenv']}"
            return f"{pipenv} {'sync' if packages.lock else 'install'} --dev && {pipenv} run {PYTEST}"
        case Manager.UV | Manager.PYPROJECT:
            locked = "--locked " if packages.lock else ""
            return f"uv run{project} {locked}{_options(declaring)}{PYTEST}"
        case Manager.POETRY if declares:
            poetry = f"uvx poetry@{VERSIONS['poetry']}"
            return f"{poetry} install{project} && {poetry} run{project} {PYTEST}"
        case Manager.PDM if declares:
            pdm = f"uvx --with 'hishel<2' pdm@{VERSIONS['pdm']}"
            frozen = " --frozen-lockfile" if packages.lock else ""
            return f"{pdm} install{project}{frozen} && {pdm} run{project} {PYTEST}"
        case Manager.PIP:
            files = [packages.files[0], *(name for name in DEVELOPMENT if (here / name).is_file())]
            has_pytest = any("pytest" in listed(read(here / name).splitlines()) for name in files)
            options = [f"--with-requirements {shlex.quote(name)}" for name in files]
            options += [] if has_pytest else ["--with pytest"]
            return f"uv run --no-project --python {python} {' '.join(options)} {PYTEST}"
    return ""


def _options(here: Path) -> str:
    """Return uv's options for the group of dependencies that has pytest; `dev` is always installed."""
    pyproject = toml(here / "pyproject.toml")
    project = pyproject.get("project", {})
    dev = pyproject.get("tool", {}).get("uv", {}).get("dev-dependencies", [])
    if "pytest" in {*listed(project.get("dependencies")), *listed(dev)}:
        return ""
    for name, group in pyproject.get("dependency-groups", {}).items():
        if "pytest" in listed(group):
            return "" if name == "dev" else f"--group {name} "
    for name, extra in project.get("optional-dependencies", {}).items():
        if "pytest" in listed(extra):
            return f"--extra {name} "
    return "--with pytest "
