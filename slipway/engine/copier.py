"""Copying a release's files out of a folder that an attacker may change at the same time."""

import os
import shutil
import stat
from contextlib import ExitStack, suppress
from pathlib import Path

from slipway.model.errors import SlipwayError
from slipway.model.names import FILE_LIST

MAX_LIST_BYTES = 64 * 2**20
"""Of the list of a release's files: an image with 10,000 files has one of a megabyte."""

Names = dict[str, "Names"]
"""The files of a release: a name, and the names below it."""


class Copier:
    """Creates each name once, in folders that it created itself: no name and no link leads anywhere else."""

    def __init__(self) -> None:
        self.copies: dict[tuple[int, int], str] = {}
        """The first copy of each file that has several names, by its device and inode."""
        self._target = ""

    def copy(self, source: Path, base: Path | None, target: Path) -> None:
        """Copy a tree; a file that is listed and did not come is linked from `base`, which nobody can change.

        Raises:
            SlipwayError: a file is in neither, or is none that an image has.
        """
        self._target = str(target)
        with ExitStack() as stack:
            came, old = _open(stack, source), _open(stack, base) if base else None
            names = _listed(came)
            self._fill("", _found(came) if names is None else names, came, old)

    def _fill(self, path: str, names: Names, source: int | None, base: int | None) -> None:
        for name, below in names.items():
            here = f"{path}/{name}"
            if below:
                Path(self._target + here).mkdir(0o755)
                with ExitStack() as stack:
                    self._fill(here, below, _open_below(stack, name, source), _open_below(stack, name, base))
            elif not (self._take(name, here, source) or _link(name, self._target + here, base)):
                raise SlipwayError(f"{here} did not arrive: run `ansible-playbook deploy.yml` again")

    def _take(self, name: str, here: str, source: int | None) -> bool:
        """Copy what arrived under a name. Returns whether anything did."""
        try:
            facts = os.stat(name, dir_fd=source, follow_symlinks=False) if source is not None else None
        except FileNotFoundError:
            return False
        if facts is None:
            return False
        to = self._target + here
        if stat.S_ISDIR(facts.st_mode):
            Path(to).mkdir(0o755)
        elif stat.S_ISLNK(facts.st_mode):
            Path(to).symlink_to(os.readlink(name, dir_fd=source))
            os.utime(to, ns=(facts.st_atime_ns, facts.st_mtime_ns), follow_symlinks=False)
        else:
            self._copy_file(name, here, source)
        return True

    def _copy_file(self, name: str, here: str, source: int | None) -> None:
        # Not blocking: it may be a FIFO.
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=source)
        with os.fdopen(descriptor, "rb") as file:
            facts = os.fstat(descriptor)
            if not stat.S_ISREG(facts.st_mode):
                raise SlipwayError(f"{here} is no file, folder or symbolic link, which is all that an image has")
            to, key = self._target + here, (facts.st_dev, facts.st_ino)
            if facts.st_nlink > 1 and (first := self.copies.get(key)):
                with suppress(OSError):  # at the file system's limit of links
                    os.link(first, to)
                    return
            with Path(to).open("xb", buffering=0) as copy:
                shutil.copyfileobj(file, copy, 2**20)
                os.fchmod(copy.fileno(), 0o755 if facts.st_mode & 0o111 else 0o644)
                os.utime(copy.fileno(), ns=(facts.st_atime_ns, facts.st_mtime_ns))
            if facts.st_nlink > 1:
                self.copies.setdefault(key, to)


def _link(name: str, to: str, base: int | None) -> bool:
    """Link what the base has under a name. Returns whether it has anything."""
    if base is None:
        return False
    try:
        os.link(name, to, src_dir_fd=base, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _open(stack: ExitStack, path: Path | str, parent: int | None = None) -> int:
    """Open a folder, which is no symbolic link."""
    opened = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    stack.callback(os.close, opened)
    return opened


def _open_below(stack: ExitStack, name: str, parent: int | None) -> int | None:
    try:
        return None if parent is None else _open(stack, name, parent)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _listed(source: int) -> Names | None:
    """The names of all files of a release, as its controller listed them; None: it is here as a whole."""
    try:
        descriptor = os.open(FILE_LIST, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=source)
    except (FileNotFoundError, NotADirectoryError):
        return None
    with os.fdopen(descriptor, "rb") as file:
        text = file.read(MAX_LIST_BYTES) or b""
    names: Names = {}
    for path in filter(None, text.split(b"\0")):
        below = names
        for part in os.fsdecode(path).split("/"):
            if part in {"", ".", ".."}:
                raise SlipwayError(f"the list of files has {path!r}, which is no path below the release")
            below = below.setdefault(part, {})
    return names


def _found(folder: int) -> Names:
    """The names of all files in a folder."""
    names: Names = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            names[entry.name] = {}
            if entry.is_dir(follow_symlinks=False):
                with ExitStack() as stack:
                    below = _open_below(stack, entry.name, folder)
                    names[entry.name] = {} if below is None else _found(below)
    return names
