"""Unpacked images on the controller: each is a plain tree, made by any user, that rsync can ship."""

import json
import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from slipway.controller.image.docker import Docker
from slipway.controller.image.extract import extract
from slipway.model.image import Image
from slipway.model.names import FILE_LIST

# A cached tree may be in use by another deploy for this long after its last use.
_KEEP_SECONDS = 900
_KEEP_TREES = 3
# Removing one takes a second, and a deploy waits for it.
_REMOVE_AT_ONCE = 2


@dataclass(frozen=True)
class Tree:
    """An image's root file system, unpacked on the controller."""

    path: Path
    bytes: int
    inodes: int


def cached_tree(cache: Path, image: Image) -> Tree | None:
    """Return the image's tree if it was unpacked before, and mark it as in use."""
    entry = _entry(cache, image)
    try:
        facts = json.loads((entry / "tree.json").read_text())
        os.utime(entry)
        if not (entry / "tree" / FILE_LIST).exists():
            return None  # of an earlier version
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return Tree(entry / "tree", facts["bytes"], facts["inodes"])


def unpack(docker: Docker, cache: Path, image: Image) -> Tree:
    """Unpack the image into the cache. Two at once both succeed: the second finds the place taken and uses it.

    Files that the tree in use last has as well are linked, not written: most of them when only code has changed.

    Raises:
        ImageError: docker does not export it.
    """
    cache.mkdir(parents=True, exist_ok=True)
    base = next((entry / "tree" for entry in _entries(cache) if (entry / "tree.json").exists()), None)
    partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=cache))
    try:
        tree = partial / "tree"
        tree.mkdir()
        with docker.exported(image.id) as stream:
            size, inodes = extract(stream, tree, base)
        _list_files(tree)
        (partial / "tree.json").write_text(json.dumps({"image": image.id, "bytes": size, "inodes": inodes}))
        partial.chmod(0o755)
        entry = _entry(cache, image)
        try:
            partial.rename(entry)
        except OSError:
            if not (entry / "tree.json").exists():
                raise
            if not (entry / "tree" / FILE_LIST).exists():
                _list_files(entry / "tree")
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return Tree(entry / "tree", size, inodes)


def _list_files(tree: Path) -> None:
    """Write the names of all files into the tree: the host is sent those that differ, and must not keep the others."""
    listed = tree / FILE_LIST
    listed.unlink(missing_ok=True)
    names = []
    for folder, below, files in os.walk(tree):
        inside = folder[len(str(tree)) + 1 :]
        names += [f"{inside}/{name}" if inside else name for name in (*below, *files)]
    listed.write_bytes(os.fsencode("".join(f"{name}\0" for name in names)))
    os.utime(listed, (0, 0))  # the same tree of the same image


def _entry(cache: Path, image: Image) -> Path:
    return cache / image.id.removeprefix("sha256:")[:32]


def _entries(cache: Path) -> list[Path]:
    """List the entries of the cache, the last in use first."""
    entries = [entry for entry in cache.iterdir() if entry.is_dir()] if cache.is_dir() else []
    return sorted(entries, key=lambda entry: entry.stat().st_mtime, reverse=True)


def prune(cache: Path, now: float | None = None) -> None:
    """Remove trees that were not used lately, and the rest of interrupted unpackings."""
    now = time.time() if now is None else now
    entries = _entries(cache)
    whole = [entry for entry in entries if not entry.name.startswith(".partial-")]
    old = [
        entry for entry in entries if now - entry.stat().st_mtime > _KEEP_SECONDS and entry not in whole[:_KEEP_TREES]
    ]
    for entry in old[-_REMOVE_AT_ONCE:]:
        shutil.rmtree(entry, ignore_errors=True)
