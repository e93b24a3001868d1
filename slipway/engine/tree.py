"""What Slipway adds to an image's file system: mount points, start scripts, and files put aside."""

import os
import shutil
from pathlib import Path

from slipway.engine.releases import remove_tree
from slipway.engine.start_scripts import start_scripts
from slipway.model.errors import SlipwayError
from slipway.model.manifest import Manifest
from slipway.model.names import FILE_LIST

MOUNT_POINTS = ("dev", "etc", "proc", "run", "sys", "tmp", "var/lib/app", "var/tmp")
"""Folders that systemd mounts on. Made by PID 1 they would be root's, and the release could not be removed."""

NAME_RESOLUTION = {"etc/resolv.conf": "resolv.conf", "etc/hosts": "hosts"}
"""Links to the host's own, which the units bind to /run/name-resolution."""


KEPT_SCRIPTS = {"run", "port"}
"""Written after sealing: the command of `slipway run`; the port, by engines before sealing."""


def prepare(root: Path, release: str, manifest: Manifest) -> None:
    """Add what the units need to the file system of a release.

    Raises:
        SlipwayError: the image has no shell, or a link or a file where systemd mounts.
    """
    if not os.path.lexists(root / "bin/sh"):
        raise SlipwayError(f"the image {manifest.image.name} has no /bin/sh, which its start script needs: add a shell")
    _prepare_mounts(root, manifest.writable)
    _write_scripts(root, release, manifest)
    _put_aside(root, manifest.writable)


def has_scripts(root: Path, release: str, manifest: Manifest) -> bool:
    """Whether the start scripts of a release are those that this manifest gives, and no others."""
    folder = root / ".slipway"
    scripts = start_scripts(release, manifest)
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}
    others = {name for name in found if name in KEPT_SCRIPTS or name.startswith("writable/")}
    return found - others == set(scripts) and all((folder / name).read_text() == scripts[name] for name in scripts)


def rsync_filters(writable: list[str]) -> list[str]:
    """Rules by which rsync finds no difference in what `prepare` adds to an image."""
    points = (Path(name) for name in (*MOUNT_POINTS, *(path.lstrip("/") for path in writable)))
    made = {str(part) for point in points for part in (point, *point.parents)} - {"."}
    added = (".slipway", FILE_LIST, *NAME_RESOLUTION)
    return [f"- /{name}" for name in added] + [f"P /{name}" for name in sorted(made)]


def _write_scripts(root: Path, release: str, manifest: Manifest) -> None:
    folder = root / ".slipway"
    remove_tree(folder) if folder.is_dir() and not folder.is_symlink() else folder.unlink(missing_ok=True)
    folder.mkdir(mode=0o755)
    for name, text in start_scripts(release, manifest).items():
        file = folder / name
        file.parent.mkdir(mode=0o755, exist_ok=True)
        file.write_text(text)
        file.chmod(0o755)


def _put_aside(root: Path, paths: list[str]) -> None:
    """Link what the image has in folders that will be mounted over to where the start scripts find it."""
    for path in paths:
        aside = root / f".slipway/writable{path}"
        aside.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(root / path.lstrip("/"), aside, symlinks=True, copy_function=os.link)


def _prepare_mounts(root: Path, writable: list[str]) -> None:
    for name in (*MOUNT_POINTS, *(path.lstrip("/") for path in writable)):
        point = root
        for part in Path(name).parts:
            point = point / part
            if point.is_symlink() or (point.exists() and not point.is_dir()):
                what = "a symbolic link" if point.is_symlink() else "a file"
                raise SlipwayError(
                    f"/{point.relative_to(root)} is {what} in the image, and systemd mounts on it: "
                    "make it a folder in the Dockerfile"
                )
            point.mkdir(mode=0o755, exist_ok=True)
    for name, target in NAME_RESOLUTION.items():
        (root / name).unlink(missing_ok=True)
        (root / name).symlink_to(f"/run/name-resolution/{target}")
