"""Room on the disk: how much is free, and a reserve, so that a rollback works on a full disk."""

import errno
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from slipway.engine import instances, lock
from slipway.engine.errors import LockedError, SystemdError
from slipway.engine.host import Host
from slipway.engine.lock import Holder, Purpose
from slipway.engine.prune import remove
from slipway.engine.releases import SHORT_OF_ROOM, Releases, now

RESERVE_BYTES = 100 * 1024 * 1024
"""Stays free after a release has arrived, for the app's data and the host's logs."""
RESERVE_INODES = 1000
KEPT_BYTES = 32 * 1024 * 1024
"""Of the file that is given up on a full disk (`Releases.reserve`)."""
NEEDED_BYTES, NEEDED_INODES = 8 * 1024 * 1024, 200
"""For an activation itself: records, links, folders of the units, lines of the journal."""
FULL_BYTES, FULL_INODES = 64 * 1024 * 1024, 500
"""With less, writes fail soon: PostgreSQL takes 16 MiB at a time."""
LOW_SHARE, LOW_BYTES = 0.1, 2 * 1024**3
"""With less than a tenth, and less than 2 GiB, a disk is nearly full: nothing fails yet."""
ADVICE = (
    "the disk is full, and Slipway has nothing more to give up: see `sudo du -xh / | sort -h | tail -n 30`, and remove "
    "what may go (`sudo journalctl --vacuum-size=100M`, `sudo apt-get clean`); then type this again"
)


def disk(releases: Releases) -> dict[str, int]:
    """Free bytes and inodes where releases are kept."""
    return free(releases.folder if releases.folder.is_dir() else releases.root)  # which may be a disk of its own


def free(where: Path) -> dict[str, int]:
    """Free bytes and inodes on the disk of a folder."""
    usage = os.statvfs(where)
    inodes = usage.f_favail if usage.f_files else sys.maxsize  # btrfs has no fixed number, and says 0
    return {"free_bytes": shutil.disk_usage(where).free, "free_inodes": inodes}


def usages(paths: Iterable[Path]) -> Iterator[tuple[Path, os.statvfs_result]]:
    """Yield the disks below these paths, each with the first path on it. Those that are not there are left out."""
    seen = set[int]()
    for path in paths:
        try:
            device, usage = path.stat().st_dev, os.statvfs(path)
        except OSError:
            continue  # not there on this host
        if device not in seen and usage.f_blocks:
            seen.add(device)
            yield path, usage


def low(paths: Iterable[Path]) -> dict[str, str]:
    """Which disks below these paths are nearly full, by the first path on each, and what is left in words."""
    found = dict[str, str]()
    for path, usage in usages(paths):
        free, size = usage.f_bavail * usage.f_frsize, usage.f_blocks * usage.f_frsize
        if free < min(LOW_SHARE * size, LOW_BYTES) or usage.f_favail < LOW_SHARE * usage.f_files:
            inodes = f"{usage.f_favail} of {usage.f_files} inodes"
            found[str(path)] = f"{free >> 20} of {size >> 20} MiB and {inodes} are free"
    return found


def full(paths: Iterable[Path]) -> str | None:
    """Which disk below one of these paths is full, in words; None if none is."""
    seen = set()
    for path in paths:
        try:
            device, left = path.stat().st_dev, free(path)
        except OSError:
            continue  # not there on this host
        if device in seen:
            continue
        seen.add(device)
        if left["free_bytes"] < FULL_BYTES or left["free_inodes"] < FULL_INODES:
            return (
                f"the disk of {path} is full ({left['free_bytes'] >> 20} MiB and {left['free_inodes']} inodes free): "
                "requests that save something fail. See `sudo du -xh / | sort -h | tail -n 30`; if it is the release "
                "that fills it, `slipway rollback`"
            )
    return None


def keep_reserve(releases: Releases) -> None:
    """Take the room that is given up on a full disk, while there is enough."""
    if releases.reserve.exists() or disk(releases)["free_bytes"] < RESERVE_BYTES + KEPT_BYTES:
        return
    try:
        with releases.reserve.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, KEPT_BYTES)
    except OSError as error:
        releases.reserve.unlink(missing_ok=True)
        if error.errno not in {*SHORT_OF_ROOM, errno.EOPNOTSUPP, errno.EINVAL}:
            raise


def make(host: Host, target: str) -> list[str]:
    """Make room for the activation of a release, where there is none. Returns what was given up for it, in words.

    First the reserve, then releases that are neither live nor a rollback's target, failed and old ones first.
    """
    releases, done = host.releases, list[str]()

    def short() -> bool:
        free = disk(releases)
        return free["free_bytes"] < NEEDED_BYTES or free["free_inodes"] < NEEDED_INODES

    if short() and releases.give_up_reserve():
        done.append(f"gave up the {KEPT_BYTES >> 20} MiB that were kept for this in {releases.reserve}")
    if not short():
        return done
    with suppress(LockedError), lock.held(host.lock_file, Holder(Purpose.PRUNE, since=now())):
        for release in releases.prunable(0, instances.in_use(host) | {target}):
            if not short():
                break
            with suppress(SystemdError):
                remove(host, release)
                done.append(f"removed the release {release}")
    return done
