"""Which hosts get a swap file, and of which size."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

SMALL: dict[str, Any] = {
    "memory": 960,
    "free": 20_000,
    "file_system": "ext4",
    "container": False,
    "others": (),
    "own": 0,
}


@pytest.fixture
def swap_file(library: Callable[[str], ModuleType]) -> ModuleType:
    return library("swap_file")


@pytest.mark.parametrize(
    ("host", "size", "expected", "why"),
    [
        ({}, "", 960, ""),
        ({"memory": 480}, "", 480, ""),
        ({"memory": 2000}, "", 1024, ""),
        ({"memory": 480, "free": 1000}, "", 250, ""),
        ({"free": 500}, "", 0, "/var has 500 MiB free, too little for swap"),
        ({"memory": 4096}, "", 0, "it has 4096 MiB of memory"),
        ({"memory": 8000}, "2G", 2048, ""),
        ({"container": True}, "2G", 0, "it is a container, and swap is of its machine's kernel"),
        ({"others": ("/dev/vda2",)}, "2G", 0, "it has swap: /dev/vda2"),
        ({"file_system": "zfs"}, "2G", 0, "/var is on zfs, where a file is no swap"),
        # What is there stays: the free space of today would be another size.
        ({"own": 960, "free": 1000}, "", 960, ""),
        ({"own": 960, "others": ("/dev/zram0",)}, "", 960, ""),
        ({"own": 960, "memory": 8000}, "", 960, ""),
        ({"own": 960}, "512M", 512, ""),
        ({"free": 3000}, "1976M", 1976, ""),
    ],
)
def test_which_hosts_get_which_size(
    swap_file: ModuleType, host: dict[str, Any], size: str, expected: int, why: str
) -> None:
    assert swap_file.decide(swap_file.Host(**SMALL | host), swap_file.mebibytes(size)) == (expected, why)


@pytest.mark.parametrize(
    ("free", "expected"),
    [
        (3000, "1977 MiB of swap do not fit: .*Set 1976M or less, or"),
        (800, "Make room, or hardening_swap: false"),
    ],
)
def test_a_size_that_does_not_fit(swap_file: ModuleType, free: int, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        swap_file.decide(swap_file.Host(**SMALL | {"free": free}), 1977)


def test_swap_of_others(swap_file: ModuleType) -> None:
    active = "Filename Type Size Used Priority\n/dev/vda2 partition 123 0 -2\n/var/slipway.swapfile file 1 0 -3\n"
    fstab = "# <file system>\n#/dev/x none swap sw 0 0\nUUID=1 none swap sw 0 0\n/dev/vda2 none swap sw 0 0\n/dev/vda1 / ext4\n\n"
    assert swap_file.others(active, fstab) == ("/dev/vda2", "UUID=1")
    assert swap_file.others("Filename Type Size Used Priority\n", "") == ()
