"""A power cut loses what was not flushed, and nothing else: without a VM, by QEMU's own writes."""

import subprocess
from pathlib import Path

import pytest

from tests.vm.store import Store, StoreError

SIZE = 1024 * 1024
PIECE = 64 * 1024


def write(url: str, *commands: str) -> None:
    """Let QEMU write, and die of SIGKILL."""
    words = [word for command in (*commands, "sigraise 9") for word in ("-c", command)]
    done = subprocess.run(
        ["qemu-io", "-t", "writeback", "-f", "raw", *words, url], capture_output=True, text=True, check=False
    )
    assert done.returncode == -9, done.stdout + done.stderr


def pieces(disk: Path) -> list[int]:
    """What the first two pieces of a disk have in their first byte."""
    return [disk.read_bytes()[start] for start in (0, PIECE)]


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """An empty disk."""
    disk = tmp_path / "disk.raw"
    disk.write_bytes(bytes(SIZE))
    return disk


def test_a_cut_loses_what_was_not_flushed_and_nothing_else(disk: Path) -> None:
    store = Store.serve(disk)
    write(store.url, "write -P 65 0 64k", "flush", "write -P 66 0 64k", "write -P 67 64k 64k")
    store.cut()
    assert pieces(disk) == [65, 0]


def test_without_a_store_a_killed_qemu_loses_nothing(disk: Path) -> None:
    """Which is why there is one."""
    write(str(disk), "write -P 65 0 64k")
    assert pieces(disk) == [65, 0]


def test_a_disk_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"nbdkit does not serve .*nowhere\.raw: .*No such file"):
        Store.serve(tmp_path / "nowhere.raw")
