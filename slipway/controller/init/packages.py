"""How the app's dependencies are declared and locked."""

import re
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from slipway.controller.init.groups import chosen_groups
from slipway.controller.init.manager import Manager
from slipway.controller.init.requirements import SETUP, for_production, included, names_in, of_setup, poetry_names
from slipway.controller.init.text import read, toml


@dataclass(frozen=True)
class Packages:
    """The dependencies of an app."""

    manager: Manager
    folder: PurePosixPath
    """Where they are declared, relative to the repository."""
    files: tuple[str, ...]
    """What the manager reads, relative to `folder`: copied into the image before the code."""
    lock: str
    """The lock's name, empty if there is none."""
    names: frozenset[str]
    """What the app itself requires: names in lower case with dashes, extras as `fastapi[standard]`."""
    is_installed: bool = False
    """The project is a package of its own, which the manager installs beside its dependencies."""
    member: str = ""
    """The name of a member of a workspace, whose lock is in `folder`."""
    workdir: PurePosixPath = field(default=PurePosixPath())
    """The member's folder, relative to `folder`."""
    needs_git: bool = False
    """A dependency comes from a git repository."""
    has_local: bool = False
    """A dependency is a folder of the repository."""
    outside: tuple[str, ...] = ()
    """Dependencies in folders that are not below `folder`."""
    project: PurePosixPath = field(default=PurePosixPath())
    """Where the manager is run, relative to `folder`: not there, if the declaring folder is a package of the code."""
    local: tuple[PurePosixPath, ...] = ()
    """The folders of other members of the workspace that it requires, relative to the repository."""
    groups: tuple[str, ...] = ()
    """Groups of dependencies that production needs besides the main ones."""
    extras: tuple[str, ...] = ()
    """Extras of the project that production needs."""
    indexes: tuple[str, ...] = ()
    """Where packages come from besides PyPI."""

    @property
    def declaring(self) -> str:
        """The file that declares the dependencies, as seen from where the manager is run."""
        return str(PurePosixPath(self.files[0]).relative_to(self.project))

    @property
    def options(self) -> str:
        """The manager's options for the groups and extras, with a space before."""
        if self.manager is Manager.POETRY:
            return f" --only {','.join(('main', *self.groups))}" + "".join(
                f" --extras {extra}" for extra in self.extras
            )
        if self.manager is Manager.PDM:
            return "".join(f" --group {extra}" for extra in self.extras)
        return "".join([f" --extra {extra}" for extra in self.extras] + [f" --group {group}" for group in self.groups])

    def from_above(self) -> "Packages":
        """Return the same as seen from the folder above: declared inside of the package that needs them."""
        name = self.folder.name
        return replace(
            self,
            folder=self.folder.parent,
            files=tuple(f"{name}/{file}" for file in self.files),
            lock=f"{name}/{self.lock}" if self.lock else "",
            project=PurePosixPath(name),
        )

    def has(self, *names: str) -> bool:
        """Return whether the app requires one of these packages."""
        return bool(self.names.intersection(names))


def find_packages(folder: Path, near: PurePosixPath) -> Packages | None:
    """Return the dependencies that are declared nearest to a file: in its folder or one above it.

    Args:
        folder: the repository.
        near: the app's file, relative to the repository.
    """
    for place in near.parents:
        found = _declared(folder, place)
        if found:
            return found
    return None


def _declared(folder: Path, place: PurePosixPath) -> Packages | None:
    here = folder / place
    pyproject = toml(here / "pyproject.toml")
    project, tool = pyproject.get("project", {}), pyproject.get("tool", {})
    listed = project.get("dependencies", [])
    poetry = tool.get("poetry", {}).get("dependencies", {})
    pipfile = toml(here / "Pipfile")
    builds = "build-system" in pyproject
    files: tuple[str, ...] = ("pyproject.toml",)

    def found(manager: Manager, lock: str = "", **more: Any) -> Packages:
        main = frozenset({*names_in(listed), *poetry_names(poetry), *more.pop("names", ())})
        groups, extras = chosen_groups(manager, pyproject, main)
        copied = (*files, lock) if lock and lock not in files else files
        text = "".join(read(here / name) for name in copied)
        paths = re.findall(r"\bpath = \"([^\"]+)\"", read(here / "pyproject.toml"))
        return Packages(
            manager,
            place,
            copied,
            lock,
            main.union(*groups.values(), *extras.values()),
            needs_git=bool(re.search(r"git\+|\bgit = ", text)),
            has_local=more.pop("has_local", False) or bool(paths),
            outside=tuple(path for path in paths if path.startswith(("..", "/"))),
            groups=tuple(sorted(groups)),
            extras=tuple(sorted(extras)),
            indexes=tuple(sorted(_indexes(pyproject, pipfile, text if manager is Manager.PIP else ""))),
            **more,
        )

    workspace = _workspace(folder, place) if project else None
    local = _required_members(folder, place if workspace is None else workspace, pyproject)
    of_members = {name for each in local for name in names_in(_dependencies(folder / each))}
    if (here / "uv.lock").exists():
        is_package = builds or tool.get("uv", {}).get("package") is True
        return found(Manager.UV, "uv.lock", is_installed=is_package, local=local, names=of_members)
    if workspace is not None and project.get("name"):
        relative = place.relative_to(workspace)
        member = found(Manager.UV, is_installed=builds, local=local, names=of_members)
        return replace(
            member,
            folder=workspace,
            files=("pyproject.toml", f"{relative}/pyproject.toml", "uv.lock"),
            lock="uv.lock",
            member=project["name"],
            workdir=relative,
            has_local=False,
            outside=(),
        )
    if (here / "poetry.lock").exists() or "poetry" in tool:
        lock = "poetry.lock" if (here / "poetry.lock").exists() else ""
        return found(Manager.POETRY, lock, is_installed=builds and tool.get("poetry", {}).get("package-mode", True))
    if (here / "pdm.lock").exists() or "pdm" in tool:
        lock = "pdm.lock" if (here / "pdm.lock").exists() else ""
        return found(Manager.PDM, lock, is_installed=builds and tool.get("pdm", {}).get("distribution", True))
    if pipfile:
        files = ("Pipfile",)
        lock = "Pipfile.lock" if (here / "Pipfile.lock").exists() else ""
        return found(Manager.PIPENV, lock, names=set(poetry_names(pipfile.get("packages", {}))))
    if requirements := for_production(here):
        files = tuple(included(here, requirements))
        required = included(here, requirements, "-r|--requirement")  # a constraint requires nothing
        names = {name for file in required for name in names_in(read(here / file).splitlines())}
        # With exact versions for all, as pip-compile writes it, the file is its own lock.
        lines = [line for line in read(here / requirements).splitlines() if re.match(r"\s*[A-Za-z0-9]", line)]
        locked = bool(lines) and all("==" in line or " @ " in line for line in lines)
        own = any(
            re.match(r"\s*(-e\s+)?(file:)?\.(\[|/|\s|$)", line) for line in read(here / requirements).splitlines()
        )
        return found(Manager.PIP, str(requirements) if locked else "", names=names, has_local=own)
    if "uv" in tool:
        return found(Manager.UV, is_installed=builds or tool["uv"].get("package") is True)
    if listed:
        return found(Manager.PYPROJECT, is_installed=builds)
    setup = of_setup(here)
    if setup:
        files = tuple(name for name in SETUP if (here / name).exists())
        names = set(names_in(setup["install_requires"].splitlines()))
        # Its dependencies are known only to its own code.
        return found(Manager.PYPROJECT, names=names, is_installed=True, has_local=True)
    return None


def _workspace(folder: Path, place: PurePosixPath) -> PurePosixPath | None:
    """Return the folder above whose uv workspace has this one as a member."""
    for above in place.parents if place.parts else ():
        members = toml(folder / above / "pyproject.toml").get("tool", {}).get("uv", {}).get("workspace", {})
        if any(place.relative_to(above).match(str(pattern)) for pattern in members.get("members", [])):
            return above if (folder / above / "uv.lock").exists() else None
    return None


def _required_members(folder: Path, workspace: PurePosixPath, pyproject: dict[str, Any]) -> tuple[PurePosixPath, ...]:
    """Return the members of a uv workspace that a project requires, also through one another."""
    declared = toml(folder / workspace / "pyproject.toml").get("tool", {}).get("uv", {}).get("workspace", {})
    members: dict[str, PurePosixPath] = {}
    for pattern in declared.get("members", []):
        for path in sorted((folder / workspace).glob(str(pattern))):
            name = toml(path / "pyproject.toml").get("project", {}).get("name", "")
            members |= {each: PurePosixPath(path.relative_to(folder)) for each in names_in([name])}
    required: list[PurePosixPath] = []
    waiting = list(names_in(pyproject.get("project", {}).get("dependencies", [])))
    for name in waiting:  # grows
        if name in members and members[name] not in required:
            required.append(members[name])
            waiting += names_in(_dependencies(folder / members[name]))
    return tuple(required)


def _dependencies(folder: Path) -> list[str]:
    listed: list[str] = toml(folder / "pyproject.toml").get("project", {}).get("dependencies", [])
    return listed


def _indexes(pyproject: dict[str, Any], pipfile: dict[str, Any], requirements: str) -> set[str]:
    tool = pyproject.get("tool", {})
    uv, poetry, pdm = (tool.get(name, {}) for name in ("uv", "poetry", "pdm"))
    # An explicit index is for the sources that name it: without one it is only published to.
    sources = [each if isinstance(each, list) else [each] for each in uv.get("sources", {}).values()]
    used = {one.get("index") for each in sources for one in each}
    of_uv = [each for each in uv.get("index", []) if not each.get("explicit") or each.get("name") in used]
    listed = [*of_uv, *poetry.get("source", []), *pdm.get("source", []), *pipfile.get("source", [])]
    urls = [str(each.get("url", "")) for each in listed]
    urls += [
        str(uv.get("index-url", "")),
        *re.findall(r"^\s*(?:-i|--(?:extra-)?index-url)[ =]+(\S+)", requirements, re.MULTILINE),
    ]
    return {re.sub(r"//[^/@]*@", "//", url) for url in urls if url and "://pypi.org" not in url}
