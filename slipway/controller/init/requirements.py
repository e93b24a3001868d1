"""The names of required packages, in the forms that requirements, Poetry, Pipenv and setuptools have."""

import ast
import configparser
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from slipway.controller.init.text import read

NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[([^\]]*)\])?")
REQUIREMENTS = ("requirements", "prod", "production", "base", "main", "common", "app")
"""Which file of requirements is production's: requirements.txt, else by this word in its name."""
SETUP = ("setup.cfg", "setup.py")


def names_in(requirements: Any) -> Iterator[str]:
    """Yield the names in a list of requirements: in lower case with dashes, extras as `fastapi[standard]`."""
    for requirement in requirements if isinstance(requirements, list) else []:
        match = NAME.match(str(requirement))
        if match:
            yield from _with_extras(match[1], (match[2] or "").split(","))


def listed(requirements: Any) -> frozenset[str]:
    """Return the names in a list of requirements, as `names_in` yields them."""
    return frozenset(names_in(requirements))


def poetry_names(dependencies: dict[str, Any]) -> Iterator[str]:
    """Yield the names in a table of Poetry or Pipenv, without optional ones."""
    for name, value in dependencies.items():
        extras = value.get("extras", []) if isinstance(value, dict) else []
        if isinstance(value, dict) and value.get("optional"):
            continue
        if name != "python":
            yield from _with_extras(name, extras)


def _with_extras(name: str, extras: list[str]) -> Iterator[str]:
    normal = re.sub(r"[-_.]+", "-", name).lower()
    yield normal
    yield from (f"{normal}[{extra.strip().lower()}]" for extra in extras if extra.strip())


def for_production(here: Path) -> PurePosixPath | None:
    """Return the file of requirements for production; None without one, or if none of several is that by its name."""
    for name in ("requirements.lock", "requirements.txt"):  # Rye's, which has an exact version for all
        if (here / name).exists():
            return PurePosixPath(name)
    files = [
        PurePosixPath(path.relative_to(here))
        for path in (*here.glob("requirements*.txt"), *here.glob("requirements/*.txt"))
    ]
    for word in REQUIREMENTS:
        for file in sorted(files):
            if re.fullmatch(rf"(requirements[-_.]?)?{word}", file.stem):
                return file
    return None


def included(here: Path, file: PurePosixPath, options: str = "-r|-c|--requirement|--constraint") -> list[str]:
    """Return a file of requirements and those that it includes, as far as they are in the same folder or below."""
    found = [str(file)]
    for each in found:  # grows
        for name in re.findall(rf"^\s*(?:{options})[ =]*(\S+)", read(here / each), re.MULTILINE):
            other = os.path.normpath(PurePosixPath(each).parent / name)
            if other not in found and not other.startswith("..") and (here / other).is_file():
                found.append(other)
    return found


def of_setup(here: Path) -> dict[str, str]:
    """Return install_requires and python_requires of a setup.cfg or a setup.py; empty without the first.

    What a function of the setup.py computes is an empty text: no code of the repository is run.
    """
    config = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        config.read_string(read(here / "setup.cfg"))
        tree = ast.parse(read(here / "setup.py"))
    except (configparser.Error, SyntaxError, ValueError):
        return {}
    found = dict(config["options"]) if config.has_section("options") else {}
    nodes = list(ast.walk(tree))
    bound = {ast.unparse(node.targets[0]): node.value for node in nodes if isinstance(node, ast.Assign)}
    for node in nodes:
        if isinstance(node, ast.keyword) and node.arg in {"install_requires", "python_requires"}:
            value = bound.get(ast.unparse(node.value), node.value)
            parts = [] if isinstance(value, ast.Call) else ast.walk(value)
            texts = [each.value for each in parts if isinstance(each, ast.Constant)]
            found[node.arg] = "\n".join(text for text in texts if isinstance(text, str))
    return found if "install_requires" in found else {}
