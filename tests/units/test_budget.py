"""How the data host's memory and connections are shared out."""

from dataclasses import replace

import pytest

from slipway.units.budget import Memory, Need, Pools, memory, swap, workers

POOLS = Pools(hosts=1, workers=4, tasks=0, pool_size=0, maximum=100, reserved=10)


@pytest.mark.parametrize(
    ("budget", "machine", "own_host", "total"),
    [(0, 8192, True, 6144), (0, 8192, False, 2048), (1024, 8192, True, 1024), (1024, 8192, False, 1024)],
)
def test_shares_of_the_memory(budget: int, machine: int, own_host: bool, total: int) -> None:
    shares = memory(budget, machine, own_host=own_host, connections=100)
    assert shares == Memory(total // 4, total // 2, max(1, total // 400), total // 16, total // 8)
    # Sorts of all connections, PostgreSQL's buffers and the broker together, the rest is cache.
    assert shares.shared_buffers + shares.work_mem * 100 + shares.broker <= total


def test_the_least_that_each_needs() -> None:
    assert memory(64, 512, own_host=True, connections=1000) == Memory(16, 32, 1, 16, 16)


@pytest.mark.parametrize(
    ("pools", "web", "total"),
    [
        (POOLS, 45, 100),
        (replace(POOLS, hosts=3), 15, 100),
        (replace(POOLS, pool_size=5, tasks=5), 20, 60),
        (replace(POOLS, tasks=6), 39, 100),
    ],
)
def test_pools_that_fit(pools: Pools, web: int, total: int) -> None:
    assert (pools.fit, pools.web, pools.total) == (True, web, total)


@pytest.mark.parametrize(
    ("pools", "needed", "fitting"),
    [
        (replace(POOLS, pool_size=12), 106, 11),
        (replace(POOLS, hosts=3, pool_size=5, tasks=2), 142, 3),
        (replace(POOLS, workers=48), 106, 0),
        (replace(POOLS, tasks=60), 138, -4),
    ],
)
def test_pools_that_do_not_fit(pools: Pools, needed: int, fitting: int) -> None:
    assert (pools.fit, pools.needed, pools.fitting) == (False, needed, fitting)
    assert replace(pools, maximum=needed).fit
    assert not replace(pools, maximum=needed - 1).fit
    if fitting > 0:
        assert replace(pools, pool_size=fitting).fit
        assert not replace(pools, pool_size=fitting + 1).fit


@pytest.mark.parametrize(("given", "workload", "expected"), [(0, "io", 8), (0, "cpu", 4), (3, "io", 3)])
def test_workers(given: int, workload: str, expected: int) -> None:
    assert workers(given, 4, workload) == expected


@pytest.mark.parametrize(
    ("memory_max", "swap_max"),
    [
        ("512M", "256M"),
        ("1G", "512M"),
        ("2T", "1048576M"),
        ("536870912", "256M"),
        ("64M", "32768K"),
        ("infinity", "infinity"),
    ],
)
def test_what_follows_from_the_limit_of_a_unit(memory_max: str, swap_max: str) -> None:
    assert swap(memory_max) == swap_max


WORKERS = [{"name": "worker", "count": 2, "memory_max": "128M"}, {"name": "beat", "single": True}]


@pytest.mark.parametrize(
    ("need", "works", "fits", "words"),
    [
        (
            Need.of(960, 0, 0, "512M", []),
            *(True, False),
            "200 of the system and nginx + 2 releases (during a deploy) x 512 = 1224 MiB, and this host has 960",
        ),
        (
            Need.of(960, 512, 0, "512M", []),
            *(True, True),
            "200 of the system and nginx + 2 releases (during a deploy) x 512 = 1224 MiB, and this host has 960 and 512 of swap",
        ),
        (
            Need.of(2000, 0, 500, "512M", WORKERS),
            *(True, False),
            "200 of the system and nginx + 500 of PostgreSQL and the broker + 2 releases (during a deploy) x 768 + 512 of "
            "single processes = 2748 MiB, and this host has 2000",
        ),
        (
            Need.of(400, 0, 100, "512M", WORKERS),
            *(False, False),
            "200 of the system and nginx + 100 of PostgreSQL and the broker + 2 releases (during a deploy) x 64 = 428 MiB, and "
            "this host has 400",
        ),
        (
            Need.of(328, 0, 0, "infinity", []),
            *(True, True),
            "200 of the system and nginx + 2 releases (during a deploy) x 64 = 328 MiB, and this host has 328",
        ),
    ],
)
def test_what_an_app_hosts_memory_is_for(need: Need, works: bool, fits: bool, words: str) -> None:
    assert (need.works, need.fits, need.words()) == (works, fits, words)


def test_the_limit_that_fits_fits() -> None:
    tight = Need.of(960, 100, 90, "512M", WORKERS[1:])
    assert not tight.fits
    assert replace(tight, release=tight.fitting).fits
    assert not replace(tight, release=tight.fitting + 1).fits
