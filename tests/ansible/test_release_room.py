"""The room of a code-only deploy, by what rsync really prints."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def room(filters: Callable[[str], ModuleType]) -> ModuleType:
    return filters("release_room")


def stats(old: Path, new: Path) -> str:
    command = ["rsync", "--recursive", "--links", "--checksum", "--dry-run", "--stats", "--no-human-readable"]
    command += [f"{new}/", f"{old}/"]
    return subprocess.run(command, env=os.environ | {"LC_ALL": "C"}, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def trees(tmp_path: Path) -> tuple[Path, Path]:
    """An old and a new release, with the same library of a megabyte; code of 3,000 bytes differs."""
    made = tmp_path / "old", tmp_path / "new"
    for tree, size in zip(made, (1000, 3000), strict=True):
        (tree / "lib/deep").mkdir(parents=True)
        (tree / "app").mkdir()
        (tree / "lib/deep/big.so").write_bytes(b"x" * 2**20)
        (tree / "app/code.py").write_bytes(b"x" * size)
        (tree / "lib/link").symlink_to("deep/big.so")
    return made


def test_only_what_differs_takes_room(room: ModuleType, trees: tuple[Path, Path]) -> None:
    found = room.room_of_differences(stats(*trees))
    folders = 4  # with the top
    assert found == {"bytes": 2 * (3000 + folders * 4096), "inodes": 2 * (1 + folders)}


def test_what_rsync_does_not_print_is_an_error(room: ModuleType) -> None:
    with pytest.raises(ValueError, match="printed no number of bytes, files, folders: 'gone'"):
        room.room_of_differences("gone")
