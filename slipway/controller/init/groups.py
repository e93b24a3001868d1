"""The groups and extras of dependencies that production needs, and the servers that packages bring."""

import re
from typing import Any

from slipway.controller.init.manager import Manager
from slipway.controller.init.requirements import names_in, poetry_names

SERVERS = {
    "gunicorn": ("gunicorn",),
    "hypercorn": ("hypercorn",),
    "uvicorn": (
        "uvicorn",
        "fastapi-cli",
        "fastapi[standard]",
        "fastapi[standard-no-fastapi-cloud-cli]",
        "fastapi[all]",
        "litestar[standard]",
        "uvicorn-worker",
    ),
    "granian": ("granian",),
}
"""The packages that bring a server, the most deliberate choice first. `fastapi run` is uvicorn."""
DEVELOPMENT = re.compile(
    r"(^|[-_])(dev(el\w*)?|tests?|testing|lint\w*|docs?|documentation|typ(es?|ing)|ci|format\w*|style|debug|notebooks?|bench\w*"
    r"|local)([-_]|$)",
    re.IGNORECASE,
)
PRODUCTION = re.compile(r"prod(uction)?|serv(er|e)|deploy(ment)?|web|api|cpu", re.IGNORECASE)
"""Names of groups and extras that production needs."""


def chosen_groups(
    manager: Manager, pyproject: dict[str, Any], main: frozenset[str]
) -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    """Return the groups and extras that production needs, with their packages: by name, or for the server in it."""
    tool = pyproject.get("tool", {})
    optional = pyproject.get("project", {}).get("optional-dependencies", {})
    extras = {name: set(names_in(values)) for name, values in optional.items()}
    groups = {name: set(names_in(values)) for name, values in pyproject.get("dependency-groups", {}).items()}
    if manager in {Manager.PDM, Manager.PIP, Manager.PIPENV}:
        groups = {}  # PDM has them for development alone
    if manager in {Manager.PIP, Manager.PIPENV}:
        extras = {}
    installed = set(tool.get("uv", {}).get("default-groups", [])) if manager is Manager.UV else set()
    if manager is Manager.POETRY:
        of_poetry = tool.get("poetry", {}).get("group", {})
        groups |= {name: set(poetry_names(group.get("dependencies", {}))) for name, group in of_poetry.items()}
        extras |= {name: set(names_in(values)) for name, values in tool.get("poetry", {}).get("extras", {}).items()}
        installed = {name for name, group in of_poetry.items() if not group.get("optional")}
    servers = {package for packages in SERVERS.values() for package in packages}

    def chosen(candidates: dict[str, set[str]], default: set[str]) -> dict[str, set[str]]:
        possible = {name: packages for name, packages in candidates.items() if not DEVELOPMENT.search(name)}
        by_name = {name: each for name, each in possible.items() if name in default or PRODUCTION.fullmatch(name)}
        if servers & main.union(*by_name.values()):
            return by_name
        return by_name | {name: each for name, each in possible.items() if each & servers}

    return chosen(groups, installed), chosen(extras, set())
