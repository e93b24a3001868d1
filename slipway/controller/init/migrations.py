"""The command that brings the database up to date, for `release:` of the Procfile."""

import os
import re
from pathlib import Path, PurePosixPath

from slipway.controller.init.packages import Packages
from slipway.controller.init.sources import SKIPPED
from slipway.controller.init.text import read

ALEMBIC = "alembic upgrade head"
TYPED = re.compile(r"\balembic((?:\s+(?:-[cnx]|--config|--name)[ =]?[\w./=-]+)*)\s+upgrade\s+(heads?)\b")
"""The command as a repository's scripts have it: with options, or for several heads."""
CONFIG = re.compile(r"\s+(?:-c|--config)[ =]?(\S+)")
DEPTH = 4
"""Folders below the app's own in which an alembic.ini is looked for."""


def find_migrations(folder: Path, packages: Packages, root: PurePosixPath, commands: str = "") -> str:
    """Return the command, to be run in the folder that the image starts the app in; empty if there are no migrations.

    Args:
        folder: the repository.
        packages: what the app requires, and the folder that becomes the image's.
        root: the folder that the app is imported from, relative to the repository.
        commands: the text of its scripts, which may give alembic options.
    """
    base = packages.folder
    workdir = base / packages.workdir
    if packages.has("alembic") or (folder / workdir / "alembic.ini").exists():
        for place in dict.fromkeys((workdir, root, *_below(folder, workdir, "alembic.ini"), base)):
            if (folder / place / "alembic.ini").exists():
                return _alembic(folder, place, workdir, commands, is_root=place == root)
        if "[tool.alembic]" in read(folder / workdir / "pyproject.toml"):
            return ALEMBIC
    if packages.has("django"):
        for place in dict.fromkeys((workdir, *_below(folder, workdir, "manage.py"))):
            if (folder / place / "manage.py").exists():
                return f"python {_relative(place / 'manage.py', workdir)} migrate --noinput"
    for place in dict.fromkeys((workdir, root)) if packages.has("aerich") else ():
        if "[tool.aerich]" in read(folder / place / "pyproject.toml") or (folder / place / "aerich.ini").exists():
            return "aerich upgrade" if place == workdir else f"cd {_relative(place, workdir)} && aerich upgrade"
    if packages.has("piccolo", "piccolo[postgres]") and (folder / workdir / "piccolo_conf.py").exists():
        return "piccolo migrations forwards all"
    return ""


def _alembic(folder: Path, place: PurePosixPath, workdir: PurePosixPath, commands: str, *, is_root: bool) -> str:
    """Return the command for an alembic.ini, with the options and the target that a script of the repository gives it.

    Without `prepend_sys_path` alembic finds the app's modules only if Python starts it by -m. A package `alembic` of
    the app's own would then be started instead.
    """
    finds_modules = re.search(r"^prepend_sys_path\s*=\s*\S", read(folder / place / "alembic.ini"), re.MULTILINE)
    by_name = finds_modules or not is_root or (folder / place / "alembic/__init__.py").exists()
    typed = TYPED.search(commands)
    named = CONFIG.search(typed[1]) if typed else None
    options = re.sub(r"\s+", " ", CONFIG.sub("", typed[1])) if typed else ""
    alembic, upgrade = (
        "alembic" if by_name else "python -m alembic",
        f"{options} upgrade {typed[2] if typed else 'head'}",
    )
    if place == workdir:
        return f"{alembic}{upgrade}"
    file = _relative(place / "alembic.ini", workdir)
    if (named and named[1] == file) or _is_seen_from(folder / place, folder / workdir):
        return f"alembic -c {file}{upgrade}"
    return f"cd {_relative(place, workdir)} && {alembic}{upgrade}"


def _is_seen_from(place: Path, workdir: Path) -> bool:
    """Tell whether an alembic.ini names its scripts as seen from another folder: it is for `alembic -c`."""
    located = re.search(r"^script_location\s*=\s*([\w./-]+)\s*$", read(place / "alembic.ini"), re.MULTILINE)
    return located is not None and not (place / located[1]).is_dir() and (workdir / located[1]).is_dir()


def _below(folder: Path, place: PurePosixPath, name: str) -> list[PurePosixPath]:
    """Return the folders below a place that have a file, the nearest first."""
    found = []
    for where, folders, files in os.walk(folder / place):
        here = PurePosixPath(Path(where).relative_to(folder))
        depth = len(here.parts) - len(place.parts)
        folders[:] = sorted(
            each for each in folders if each not in SKIPPED and not each.startswith(".") and depth < DEPTH
        )
        if name in files and depth:
            found.append(here)
    return sorted(found, key=lambda each: len(each.parts))


def _relative(path: PurePosixPath, place: PurePosixPath) -> str:
    if path.is_relative_to(place):
        return str(path.relative_to(place))
    return "/".join([*[".."] * len(place.parts), str(path)])
