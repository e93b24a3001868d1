"""The command that brings the database up to date, for `release:` of the Procfile."""

import re
from pathlib import Path, PurePosixPath

from slipway.controller.init.packages import Packages
from slipway.controller.init.text import read

ALEMBIC = "alembic upgrade head"


def find_migrations(folder: Path, packages: Packages, root: PurePosixPath) -> str:
    """Return the command, to be run in the folder that the image starts the app in; empty if there are no migrations.

    Args:
        folder: the repository.
        packages: what the app requires, and the folder that becomes the image's.
        root: the folder that the app is imported from, relative to the repository.
    """
    base = packages.folder
    workdir = base / packages.workdir
    if packages.has("alembic") or (folder / workdir / "alembic.ini").exists():
        for place in dict.fromkeys((workdir, root, *_below(folder, workdir, "alembic.ini"), base)):
            if (folder / place / "alembic.ini").exists():
                command = _alembic(folder / place, is_root=place == root)
                return command if place == workdir else f"cd {_relative(place, workdir)} && {command}"
        if "[tool.alembic]" in read(folder / workdir / "pyproject.toml"):
            return ALEMBIC
    if packages.has("django"):
        for place in dict.fromkeys((workdir, *_below(folder, workdir, "manage.py"))):
            if (folder / place / "manage.py").exists():
                return f"python {_relative(place / 'manage.py', workdir)} migrate --noinput"
    if packages.has("aerich") and "[tool.aerich]" in read(folder / workdir / "pyproject.toml"):
        return "aerich upgrade"
    if packages.has("piccolo", "piccolo[postgres]") and (folder / workdir / "piccolo_conf.py").exists():
        return "piccolo migrations forwards all"
    return ""


def _alembic(place: Path, *, is_root: bool) -> str:
    """Return alembic's command. Without `prepend_sys_path` it finds the app's modules only if Python starts it by -m.

    A package `alembic` of the app's own would then be started instead.
    """
    finds_modules = re.search(r"^prepend_sys_path\s*=\s*\S", read(place / "alembic.ini"), re.MULTILINE)
    if finds_modules or not is_root or (place / "alembic/__init__.py").exists():
        return ALEMBIC
    return f"python -m {ALEMBIC}"


def _below(folder: Path, place: PurePosixPath, name: str) -> list[PurePosixPath]:
    """Return the folders with a file, one or two levels below a place."""
    found = [*(folder / place).glob(f"*/{name}"), *(folder / place).glob(f"*/*/{name}")]
    return [
        PurePosixPath(path.parent.relative_to(folder))
        for path in sorted(found)
        if not any(part.startswith(".") or part in {"node_modules", "venv"} for part in path.relative_to(folder).parts)
    ]


def _relative(path: PurePosixPath, place: PurePosixPath) -> str:
    if path.is_relative_to(place):
        return str(path.relative_to(place))
    return "/".join([*[".."] * len(place.parts), str(path)])
