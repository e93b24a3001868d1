"""A disk that loses, at a power cut, what was not synced before.

Nothing is intercepted but the syncs: each copies what it makes durable out of the folder that the engine works in. A cut
takes the folder as it is then, and of all that differs from the durable copy some, none or everything.
"""

import os
import stat
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from slipway.engine import durable

Entry = tuple[str, int, str]
"""Of a name in a folder: `folder`, `file` or `link`; its inode; where a link leads."""
Tree = dict[str, Any]
"""What a cut leaves: a folder is a tree, a file its bytes, a link the text that it has."""
Choice = Callable[[], bool]
"""Whether one thing that was not synced survives."""


@dataclass
class Disk:
    """The durable copy of a folder."""

    root: Path
    files: dict[int, bytes] = field(default_factory=dict)
    folders: dict[int, dict[str, Entry]] = field(default_factory=dict)
    before_sync: Callable[[], None] = lambda: None
    skips: Callable[[], bool] = lambda: False
    """Whether a sync is left out, to see that it is missed."""

    def fsync(self, descriptor: int) -> None:
        """os.fsync."""
        self.before_sync()
        if not self.skips():
            self._keep(Path(f"/proc/self/fd/{descriptor}").readlink())

    def sync_file_systems(self, *_paths: Path) -> None:
        """syncfs(2)."""
        self.before_sync()
        if not self.skips():
            self.sync_all()

    def sync_all(self) -> None:
        """All is on the disk."""
        self._keep(self.root)
        for folder, folders, files in os.walk(self.root):
            for name in (*folders, *files):
                if not (path := Path(folder, name)).is_symlink():
                    self._keep(path)

    def _keep(self, path: Path) -> None:
        facts = path.stat()
        if stat.S_ISDIR(facts.st_mode):
            self.folders[facts.st_ino] = _entries(path)
        elif stat.S_ISREG(facts.st_mode):
            self.files[facts.st_ino] = path.read_bytes()

    def cut(self, survives: Choice) -> Tree:
        """What is there after a power cut."""
        paths = {path.lstat().st_ino: path for path in self.root.rglob("*") if not path.is_symlink()}
        return self._folder(self.root.stat().st_ino, {self.root.stat().st_ino: self.root} | paths, survives)

    def _folder(self, inode: int, paths: dict[int, Path], survives: Choice) -> Tree:
        """What is in a folder. `paths`: where each inode is now; one that was removed has lost its names, perhaps."""
        durable = self.folders.get(inode, {})
        now = _entries(paths[inode]) if inode in paths else {}
        tree: Tree = {}
        for name in sorted({*durable, *now}):
            was, is_now = durable.get(name), now.get(name)
            entry = was if was == is_now or not survives() else is_now
            if entry:
                tree[name] = self._content(entry, paths, survives)
        return tree

    def _content(self, entry: Entry, paths: dict[int, Path], survives: Choice) -> Any:
        kind, inode, target = entry
        if kind == "folder":
            return self._folder(inode, paths, survives)
        if kind == "link":
            return target
        durable = self.files.get(inode, b"")
        now = paths[inode].read_bytes() if inode in paths else durable
        return durable if now == durable or not survives() else now


@dataclass
class Ext4(Disk):
    """A real file system on a loop device: the kernel decides what a cut leaves, by what reached the device until then."""

    image: Path = Path()

    def fsync(self, descriptor: int) -> None:
        """os.fsync."""
        self.before_sync()
        if not self.skips():
            _fsync(descriptor)

    def sync_file_systems(self, *paths: Path) -> None:
        """syncfs(2)."""
        self.before_sync()
        if not self.skips():
            _sync_file_systems(*paths)

    def sync_all(self) -> None:
        """All is on the disk."""
        _sync_file_systems(self.root)

    def cut(self, survives: Choice) -> Tree:
        """What is there after a power cut: the device is copied as it is, and its journal replayed."""
        copy, mounted = self.image.with_suffix(".cut"), self.image.with_suffix(".mounted")
        subprocess.run(["cp", "--sparse=always", self.image, copy], check=True)
        mounted.mkdir(exist_ok=True)
        subprocess.run(["mount", "-o", "loop", copy, mounted], check=True)
        try:
            return _read(mounted)
        finally:
            subprocess.run(["umount", mounted], check=True)


_fsync, _sync_file_systems = os.fsync, durable.sync_file_systems


@contextmanager
def mounted_ext4(folder: Path) -> Iterator[Path]:
    """Make a small ext4 and mount it in a new folder. Yields its image; where a machine mounts none, the test is skipped."""
    folder.mkdir()
    image = folder.with_suffix(".img")
    with image.open("wb") as file:
        file.truncate(256 * 2**20)
    try:
        subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True, capture_output=True)
        subprocess.run(["mount", "-o", "loop", image, folder], check=True, capture_output=True)
    except (subprocess.CalledProcessError, OSError) as error:
        pytest.skip(f"this machine mounts no loop device for us: {error}")
    try:
        (folder / "lost+found").rmdir()
        yield image
    finally:
        subprocess.run(["umount", folder], check=True)


def _read(folder: Path) -> Tree:
    return {
        path.name: str(path.readlink()) if path.is_symlink() else _read(path) if path.is_dir() else path.read_bytes()
        for path in folder.iterdir()
    }


def _entries(folder: Path) -> dict[str, Entry]:
    found = {}
    for path in folder.iterdir():
        name, facts = path.name, path.lstat()
        if stat.S_ISLNK(facts.st_mode):
            found[name] = ("link", 0, str(path.readlink()))
        elif stat.S_ISDIR(facts.st_mode):
            found[name] = ("folder", facts.st_ino, "")
        elif stat.S_ISREG(facts.st_mode):
            found[name] = ("file", facts.st_ino, "")
    return found


def write(tree: Tree, folder: Path) -> None:
    """Write what a cut left into an empty folder."""
    for name, content in tree.items():
        path = folder / name
        if isinstance(content, dict):
            path.mkdir()
            write(content, path)
        elif isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.symlink_to(content)
