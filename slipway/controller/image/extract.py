"""Unpacking a tar stream of an image's file system as an ordinary user can.

`skopeo copy` and `umoci unpack` do the same: with 225 MB and 8,000 files they took five to eleven times as long, since
they compress and read each layer again, and a code-only change shares nothing with the tree before.
"""

import itertools
import os
import stat
import tarfile
from pathlib import Path
from typing import IO

from slipway.controller.image.errors import ImageError

# Docker puts these into every container; they are not the image's.
_DOCKERS_OWN = frozenset({".dockerenv", "etc/hosts", "etc/hostname", "etc/resolv.conf"})
# Larger files are written without a comparison, which would hold the whole of one in memory.
_COMPARED_BYTES = 64 * 2**20
# Seconds: a time loses far less as a floating point number.
_TIMES_DIFFER = 1e-4


def extract(stream: IO[bytes], tree: Path, base: Path | None) -> tuple[int, int]:
    """Unpack a tar stream without owners, devices and set-id bits. Returns the size of the files and the inodes.

    Files that are the same in `base` are linked to those.
    """
    size = inodes = 0
    directories: list[tarfile.TarInfo] = []
    links: set[str] = set()
    linked: set[int] = set()
    with tarfile.open(fileobj=stream, mode="r|", errorlevel=1) as archive:
        # The checks are below. Python before 3.11.4 (Debian 12's) has no filters to switch off.
        archive.extraction_filter = getattr(tarfile, "fully_trusted_filter", None)
        for member in archive:
            name = member.name = _inside(member.name, links)
            if member.islnk():
                member.linkname = _inside(member.linkname, links)
            if name in _DOCKERS_OWN or name.startswith("dev/") or not _is_plain(member):
                continue
            if member.issym():
                links.add(name)
            member.mode = shipped_mode(member.mode, folder=member.isdir())
            content = archive.extractfile(member) if member.isreg() and member.size <= _COMPARED_BYTES else None
            if content is None:
                archive.extract(member, tree, set_attrs=member.isreg())
            else:
                _put(f"{tree}/{name}", content.read(), member, f"{base}/{name}" if base else None, linked)
            if member.isdir():
                directories.append(member)
            size += member.size if member.isreg() else 0
            inodes += not member.islnk()
    for member in reversed(directories):  # last, since files in them change their times
        path = tree / member.name
        path.chmod(member.mode)
        os.utime(path, (member.mtime, member.mtime))
    return size, inodes


def shipped_mode(mode: int, *, folder: bool) -> int:
    """The mode as rsync ships it (u+rwX,a+rX,go-w,a-s): readable by all, writable by its owner, no set-id."""
    return mode & 0o755 | 0o644 | (0o111 if folder or mode & 0o111 else 0)


def _put(path: str, content: bytes, member: tarfile.TarInfo, old: str | None, linked: set[int]) -> None:
    """Make a file: a link to the old one if that has the same mode, time and content.

    `linked` are the inodes that the tree has so far: two files of the image stay two files.
    """
    if old is not None and (inode := _same(old, content, member)) and inode not in linked:
        try:
            os.link(old, path, follow_symlinks=False)
        except OSError:  # pruned just now, another user's, or at the file system's limit of links
            pass
        else:
            linked.add(inode)
            return
    with Path(path).open("wb") as file:
        file.write(content)
        os.fchmod(file.fileno(), member.mode)
    os.utime(path, (member.mtime, member.mtime))


def _same(old: str, content: bytes, member: tarfile.TarInfo) -> int | None:
    """Return the inode of the old file if the new one would be the same."""
    try:
        facts = os.lstat(old)
        alike = (
            stat.S_ISREG(facts.st_mode)
            and (stat.S_IMODE(facts.st_mode), facts.st_size) == (member.mode, member.size)
            and abs(facts.st_mtime - member.mtime) < _TIMES_DIFFER
            and Path(old).read_bytes() == content
        )
    except OSError:
        return None
    return facts.st_ino if alike else None


def _inside(name: str, links: set[str]) -> str:
    """Return the path as it is below the tree.

    Raises:
        ImageError: it leads out of it, by `..` or through a symbolic link. Docker exports no such thing.
    """
    # Text, not path objects: with 10,000 files those are a quarter of the time that unpacking takes.
    parts = [part for part in name.split("/") if part not in {"", "."}]
    if ".." in parts or not links.isdisjoint(itertools.accumulate(parts[:-1], "{}/{}".format)):
        raise ImageError(f"The image has a file {name!r} that would be unpacked outside its folder. Do not use it.")
    return "/".join(parts) or "."


def _is_plain(member: tarfile.TarInfo) -> bool:
    return member.isreg() or member.isdir() or member.issym() or member.islnk()
