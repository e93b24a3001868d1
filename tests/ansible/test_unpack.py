"""A tree that is unpacked beside an older one: the same as without it, and hardly anything is written."""

import io
import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest

from slipway.controller.image.cache import unpack
from slipway.controller.image.docker import Docker
from slipway.model.image import Image

TIME = 1_700_000_000.25

Member = tuple[str, bytes, dict[str, Any]]


class Exporting(Docker):
    """A docker whose images a test defines."""

    def __init__(self, members: list[Member]) -> None:
        super().__init__("docker")
        self.members = members

    @contextmanager
    def exported(self, image_id: str) -> Iterator[IO[bytes]]:
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for name, content, attributes in self.members:
                info = tarfile.TarInfo(name)
                info.size, info.mtime, info.mode = len(content), TIME, 0o644
                for key, value in attributes.items():
                    setattr(info, key, value)
                archive.addfile(info, io.BytesIO(content))
        stream.seek(0)
        yield stream


def file(name: str, content: bytes = b"text", **attributes: Any) -> Member:
    return name, content, attributes


def folder(name: str, **attributes: Any) -> Member:
    return name, b"", {"type": tarfile.DIRTYPE, "mode": 0o755, **attributes}


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> Member:
    return name, b"", {"type": kind, "linkname": target}


FIRST = [
    folder("lib"),
    file("lib/large", b"x" * 100_000),
    file("lib/tool", mode=0o755),
    file("lib/removed"),
    folder("lib/gone"),
    file("lib/gone/file"),
    folder("app"),
    file("app/main.py", b"version = 1\n"),
    file("app/same-size", b"12345"),
    file("app/mode"),
    file("app/time"),
    file("app/becomes-link"),
    link("app/becomes-file", "main.py"),
    file("app/becomes-folder"),
    file("app/one", b"twice"),
    link("app/two", "app/one", tarfile.LNKTYPE),
]
"""An image."""

SECOND = [
    folder("lib", mtime=TIME + 60),
    file("lib/large", b"x" * 100_000),
    file("lib/tool", mode=0o4755),
    folder("app", mode=0o700),
    file("app/main.py", b"version = 2, a longer one\n"),
    file("app/same-size", b"54321"),
    file("app/mode", mode=0o755),
    file("app/time", mtime=TIME + 1),
    link("app/becomes-link", "../lib/tool"),
    file("app/becomes-file"),
    folder("app/becomes-folder"),
    file("app/becomes-folder/new"),
    file("app/one", b"twice"),
    file("app/two", b"twice"),
]
"""The next one: files changed in each way that there is, removed, and turned into something else."""


def image(digit: str) -> Image:
    return Image("app", "sha256:" + digit * 64, "amd64", None, [], ["serve"], {}, "/")


def contents(tree: Path) -> dict[str, tuple[Any, ...]]:
    """All facts of a tree that an export has. Hard links are known by the first of their names."""
    names: dict[int, str] = {}
    found: dict[str, tuple[Any, ...]] = {}
    for path in sorted(tree.rglob("*")):
        facts, name = path.lstat(), str(path.relative_to(tree))
        if path.is_symlink():
            found[name] = ("link", str(path.readlink()))
        elif path.is_dir():
            found[name] = ("folder", facts.st_mode, facts.st_mtime)
        else:
            same = names.setdefault(facts.st_ino, name)
            found[name] = ("file", facts.st_mode, facts.st_mtime, path.read_bytes(), same)
    return found


def unpacked(cache: Path, digit: str, members: list[Member]) -> Path:
    return unpack(Exporting(members), cache, image(digit)).path


@pytest.mark.parametrize(("old", "new"), [(FIRST, SECOND), (SECOND, FIRST), (FIRST, FIRST), (FIRST, [])])
def test_the_tree_is_the_same_as_without_an_older_one(tmp_path: Path, old: list[Member], new: list[Member]) -> None:
    before = contents(unpacked(tmp_path / "both", "1", old))
    assert contents(unpacked(tmp_path / "both", "2", new)) == contents(unpacked(tmp_path / "alone", "2", new))
    assert contents(tmp_path / "both" / ("1" * 32) / "tree") == before, "the older one was changed"


def test_only_what_differs_is_written(tmp_path: Path) -> None:
    old, new = unpacked(tmp_path, "1", FIRST), unpacked(tmp_path, "2", SECOND)
    shared = {str(path.relative_to(new)) for path in new.rglob("*") if path.is_file() and not path.is_symlink()}
    shared = {name for name in shared if (old / name).exists() and (old / name).samefile(new / name)}
    assert shared == {"lib/large", "lib/tool", "app/one"}


def test_what_was_changed_in_the_cache_is_not_taken_over(tmp_path: Path) -> None:
    old = unpacked(tmp_path, "1", FIRST)
    (old / "app/main.py").write_bytes(b"VERSION = 1\n")
    os.utime(old / "app/main.py", (TIME, TIME))
    assert (unpacked(tmp_path, "2", FIRST) / "app/main.py").read_bytes() == b"version = 1\n"


def test_a_file_that_cannot_be_linked_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unpacked(tmp_path, "1", FIRST)

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError

    members = [member for member in FIRST if member[2].get("type") != tarfile.LNKTYPE]
    monkeypatch.setattr(os, "link", refuse)
    assert (unpacked(tmp_path, "2", members) / "lib/large").stat().st_nlink == 1
