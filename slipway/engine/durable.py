"""Writes that outlive a power cut: until it is synced, what was written, linked or renamed is in memory only."""

import errno
import os
import subprocess
from pathlib import Path


def sync_folder(path: Path) -> None:
    """Wait until the names in a folder are on the disk: what was created, renamed and removed there.

    Raises:
        OSError: the disk failed.
    """
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def sync_file_systems(*paths: Path) -> None:
    """Wait until all that was written to the file systems of these paths is on the disk.

    For a tree of thousands of files, of which most are links: one call instead of one for each folder.

    Raises:
        OSError: the disk failed.
    """
    # Python has no syncfs(2), and ctypes wants memory that is executed.
    command = ["sync", "--file-system", "--", *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        raise OSError(errno.EIO, done.stderr.strip() or "sync failed", str(paths[0]))


def write_atomically(path: Path, text: str, mode: int | None = None) -> None:
    """Replace a file so that a reader, or a power cut, sees the old text or the new one, and afterwards the new one.

    Args:
        path: the file.
        text: its new content.
        mode: its permissions; None: what the umask leaves.

    Raises:
        OSError: the disk is full, or failed.
    """
    temporary = _temporary(path)
    with temporary.open("w") as file:
        file.write(text)
        file.flush()
        if mode is not None:
            os.fchmod(file.fileno(), mode)
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_folder(path.parent)


def write_even_if_full(path: Path, text: str, mode: int | None = None) -> None:
    """Replace a file atomically; on a full disk overwrite it, which needs no room as long as it does not grow.

    Raises:
        OSError: the disk is full and there is no file yet, or the disk failed.
    """
    try:
        write_atomically(path, text, mode)
    except OSError:
        _temporary(path).unlink(missing_ok=True)
        with path.open("r+") as file:
            file.write(text)
            file.truncate()


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.new")


def link(path: Path, target: Path, temporary: Path, sync: bool = True) -> None:
    """Replace a symbolic link in the same way. `temporary` is where nobody else can put something in its place.

    `sync` False: after a power cut it may lead to the old target.
    """
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    temporary.replace(path)
    if sync:
        sync_folder(path.parent)
