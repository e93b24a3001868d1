"""An image's file system, checked against the contract."""

import os
import re
from pathlib import Path

from slipway.controller.image.command import CommandError, check_line, check_words, hidden, trail
from slipway.controller.image.errors import ImageError
from slipway.model import names
from slipway.model.image import Image

# Directories that systemd mounts over or goes through as root; a link there is refused by the unit's asserts.
REAL_DIRECTORIES = ("dev", "etc", "proc", "run", "sys", "tmp", "var", "var/lib", "var/lib/app", "var/tmp")

_PROCFILE_LINE = re.compile(rf"({names.PROCESS.pattern}):\s*(\S.*)\Z")


def check_tree(image: Image, tree: Path) -> None:
    """Check the lines of the contract that the file system shows.

    Raises:
        ImageError: it breaks a line of the contract.
    """
    if resolve(tree, "/bin/sh") is None:
        raise ImageError(
            f"The image {image.name!r} has no /bin/sh. The start scripts need one: base it on an image with a shell "
            "(debian:trixie-slim, alpine), not on scratch or distroless.",
            line="shell",
        )
    if os.path.lexists(tree / ".slipway"):
        raise ImageError(
            f"The image {image.name!r} has a /.slipway. That name is for the start scripts: remove it.", line="folders"
        )
    for name in REAL_DIRECTORIES:
        here = tree / name
        if here.is_symlink() or (here.exists() and not here.is_dir()):
            what = "a symbolic link" if here.is_symlink() else "a file"
            raise ImageError(
                f"In the image {image.name!r}, /{name} is {what}. Make it a directory: systemd mounts there.",
                line="folders",
            )
    if top := hidden(image.workdir):
        raise ImageError(
            f"The image {image.name!r} has the WORKDIR {image.workdir}, and the sandbox hides the image's /{top}. "
            "Put it elsewhere in the Dockerfile: below /app, /opt or /srv.",
            line="folders",
        )
    workdir = resolve(tree, image.workdir)
    if workdir is None or not workdir.is_dir():
        raise ImageError(
            f"The image {image.name!r} has WORKDIR {image.workdir}, but no such directory. Correct its Dockerfile.",
            line="socket",
        )
    try:
        check_words(tree, image.command, image.env, image.workdir)
    except CommandError as error:
        raise ImageError(f"The image {image.name!r} {error}.", line="folders" if error.hidden else "socket") from None


def read_procfile(image: Image, tree: Path) -> dict[str, str]:
    """Return the processes of the Procfile in WORKDIR; none without one. `web` is the image's own command.

    Raises:
        ImageError: a line is not `name: command`, or a name comes twice.
    """
    file = resolve(tree, f"{image.workdir}/Procfile")
    if file is None or not file.is_file():
        return {}
    processes: dict[str, str] = {}
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        match = _PROCFILE_LINE.match(text)
        if not match:
            raise ImageError(
                f"{image.workdir}/Procfile of {image.name!r}, line {number}: {text!r} is not `name: command`.",
                line="procfile",
            )
        name, command = match.groups()
        if name in names.SCRIPTS:
            raise ImageError(
                f"{image.workdir}/Procfile of {image.name!r}, line {number}: {name!r} is a file of Slipway's. Call the "
                "process something else.",
                line="procfile",
            )
        if name in processes:
            raise ImageError(
                f"{image.workdir}/Procfile of {image.name!r}, line {number}: {name!r} is there twice. Remove one.",
                line="procfile",
            )
        if name == "web":
            continue  # the image's own command is
        try:
            check_line(tree, command, image.env, image.workdir)
        except CommandError as error:
            raise ImageError(
                f"{image.workdir}/Procfile of {image.name!r}, line {number}: {name!r} {error}.", line="procfile"
            ) from None
        processes[name] = command
    return processes


def resolve(tree: Path, path: str) -> Path | None:
    """Follow `path` as a process inside the tree would, links included; None if it does not exist."""
    return trail(tree, path)[0]
