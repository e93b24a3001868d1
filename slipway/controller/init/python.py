"""Which version of Python the image is for."""

import re
from pathlib import Path, PurePosixPath

from slipway.controller.init.existing import DOCKERFILES
from slipway.controller.init.packages import Packages
from slipway.controller.init.requirements import of_setup
from slipway.controller.init.text import read, toml
from slipway.controller.init.wheels import newest_python

DEFAULT_PYTHON = "3.13"
"""Where a repository names none: every package that is kept has wheels for it."""
OLDEST, NEWEST = 8, 14
"""The minor versions of Python 3 that images exist for."""
VERSION_FILES = ("runtime.txt", ".tool-versions", "mise.toml", ".mise.toml", *DOCKERFILES)
"""Heroku's, asdf's, mise's and Docker's, where nothing says more exactly what the project requires."""


def python_version(folder: Path, packages: Packages) -> str:
    """Return the version of Python that the image is for, as `3.13`.

    .python-version; else another file's, if the project allows that; else the newest that the project and the wheels of
    its packages allow, up to the default.
    """
    places = (packages.folder / packages.workdir, packages.folder / packages.project, packages.folder, PurePosixPath())
    for place in places:
        pinned = re.search(r"\b3\.(\d+)", read(folder / place / ".python-version"))
        if pinned:
            return f"3.{pinned[1]}"
    required = _required(folder / packages.folder / packages.workdir / packages.project)
    for place in places:
        for name in VERSION_FILES:
            version = re.search(r"^(?:FROM\s+\S*)?\s*python\W*3\.(\d+)", read(folder / place / name), re.MULTILINE)
            if version and _allows(required, int(version[1])):
                return f"3.{version[1]}"
    return _allowed(required, newest_python(folder, packages))


def is_allowed(folder: Path, packages: Packages, python: str) -> bool:
    """Tell whether a project may run with a version of Python."""
    return _allows(
        _required(folder / packages.folder / packages.workdir / packages.project), int(python.partition(".")[2])
    )


def _required(here: Path) -> str:
    """Return the versions of Python that a project is for; empty if it does not say."""
    project = toml(here / "pyproject.toml")
    poetry = project.get("tool", {}).get("poetry", {}).get("dependencies", {})
    pipenv = toml(here / "Pipfile").get("requires", {})
    return str(
        project.get("project", {}).get("requires-python")
        or poetry.get("python")
        or pipenv.get("python_full_version")
        or pipenv.get("python_version")
        or of_setup(here).get("python_requires")
        or ""
    )


def _allowed(required: str, newest: int | None) -> str:
    """Return the default where a constraint and the packages allow it, else the newest version that both allow."""
    minors = [minor for minor in range(OLDEST, NEWEST + 1) if _allows(required, minor)]
    default = int(DEFAULT_PYTHON.partition(".")[2])
    minors = [minor for minor in minors if newest is None or minor <= max(newest, min(minors))]
    return f"3.{default if default in minors or not minors else minors[-1]}"


def _allows(required: str, minor: int) -> bool:
    for operator, number in re.findall(r"(\^|~=?|[<>=!]=?)?\s*3\.(\d+)", required):
        bound = int(number)
        refused = {
            "<": minor >= bound,
            "<=": minor > bound,
            ">": minor <= bound,
            "!=": minor == bound,
            "==": minor != bound,
            "=": minor != bound,
            "": minor != bound,
            "~": minor != bound,
        }
        if refused.get(operator, minor < bound):  # >=, ^ and ~=
            return False
    return True
