"""The project that is deployed: its folder, its environments, and what Slipway keeps for it on this machine."""

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from slipway.controller.program import output
from slipway.model.errors import UsageError

LOCAL = "local"
"""The environment of the host that `slipway up` starts on this machine."""
INVENTORIES = ("deploy", "ansible/inventories")
"""Where a project has a folder per environment. The second is Slipway's own, and that of forks of it."""


class ProjectError(UsageError):
    """There is no project here, or it has no such environment; the message says what to type."""


@dataclass(frozen=True)
class Project:
    """A folder with an inventory per environment."""

    root: Path
    inventories: Path

    @classmethod
    def find(cls, folder: Path) -> "Project":
        """Return the project that a folder is in: the nearest one at or above it.

        Raises:
            ProjectError: there is none.
        """
        folder = Path(os.path.abspath(folder))  # noqa: PTH100 -- links stay: Ansible does not resolve them, either
        for root in (folder, *folder.parents):
            for place in INVENTORIES:
                if environments(root / place):
                    return cls(root, root / place)
        raise ProjectError(
            f"No deploy/<environment>/hosts.yml in {folder} or a folder above it. Go to your project's folder, or "
            "type: slipway init"
        )

    @property
    def environments(self) -> list[str]:
        """The names of the environments."""
        return environments(self.inventories)

    def environment(self, name: str) -> Path:
        """Return the inventory of an environment.

        Raises:
            ProjectError: there is no such environment.
        """
        known = self.environments
        if name not in known:
            known = sorted({*known, LOCAL})
            raise ProjectError(
                f"No environment {name!r}: {self.inventories}/{name}/hosts.yml does not exist. There is: "
                f"{', '.join(known)}. Name one of these, or create that file."
            )
        return self.inventories / name

    @property
    def id(self) -> str:
        """Six hex digits that no other folder on this machine has: part of the names of images and containers.

        SLIPWAY_CHECKOUT overrides it: a test's copy of a tree belongs to the test's checkout.
        """
        return os.environ.get("SLIPWAY_CHECKOUT") or hashlib.sha256(str(self.root).encode()).hexdigest()[:6]

    @property
    def cache(self) -> Path:
        """The folder for local hosts, logs and timings. Nothing is written into somebody's repository."""
        if self.inventories == self.root / INVENTORIES[1]:
            return self.root / ".cache"
        # ssh's files and options divide paths at spaces.
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", self.root.name)
        return shared_cache() / "projects" / f"{name}-{self.id}"

    @property
    def images(self) -> Path:
        """The folder for unpacked images."""
        return self.cache / "images"


def environments(inventories: Path) -> list[str]:
    """Return the names of the folders with a hosts.yml, which may be a link that leads nowhere yet."""
    return sorted(path.parent.name for path in inventories.glob("*/*") if path.name == "hosts.yml")


def shared_cache() -> Path:
    """Return the folder for what this user's projects share and what can be made again: $XDG_CACHE_HOME/slipway."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "slipway"


def image_cache(folder: str) -> str:
    """Return the folder for unpacked images of the project that a folder is in, or of no project."""
    try:
        return str(Project.find(Path(folder)).images)
    except ProjectError:
        return str(shared_cache() / "images")


def project_root(folder: str) -> str:
    """Return the root of the project that a folder is in; the folder itself if there is none."""
    try:
        return str(Project.find(Path(folder)).root)
    except ProjectError:
        return folder


def project_name(folder: str) -> str:
    """Return the project of a checkout: the path of its git repository's origin, `acme/shop`. Empty if there is none.

    A clone by SSH, one by HTTPS and CI's own have the same.
    """
    url = output("git", "-C", folder, "config", "--get", "remote.origin.url")
    path = url  # of a folder
    if "://" in url:
        path = urlsplit(url).path
    elif not url.startswith(("/", ".")):
        path = url.partition(":")[2]  # git@github.com:acme/shop.git
    return str(Path(path.strip("/").removesuffix(".git"))) if path else ""


def owner_conflict(recorded: Mapping[str, Any], project: str, environment: str, names: Iterable[str]) -> str | None:
    """Return in words why a host is another one's, None if it is ours or nobody's.

    Args:
        recorded: the host's site.json; empty if it was not provisioned.
        project: ours, empty if unknown.
        environment: the name of the inventory.
        names: the names of our site.
    """
    if not recorded:
        return None
    # GitHub takes Acme/Shop for acme/shop.
    if project and recorded.get("project") and recorded["project"].casefold() != project.casefold():
        return f"it belongs to the project {recorded['project']}, and this one is {project}"
    if recorded.get("environment") not in {None, environment}:
        return f"it is a host of the environment {recorded['environment']}, and this one is {environment}"
    theirs = recorded.get("names") or []
    if theirs and not set(theirs) & set(names):
        return f"it serves {', '.join(theirs)}, and nginx_server_names has none of these names"
    return None
