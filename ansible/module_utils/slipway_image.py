"""An OCI image as Slipway deploys it: what its configuration says, and its file system as a plain tree."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import shutil
import stat
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any

from ansible.module_utils.slipway_settings import is_reserved

ARCHITECTURES = ("amd64", "arm64", "386", "arm", "ppc64le", "riscv64", "s390x", "loong64")

# Directories that systemd mounts over or goes through as root; a link there is refused by the unit's asserts.
REAL_DIRECTORIES = ("dev", "etc", "proc", "run", "sys", "tmp", "var", "var/lib", "var/lib/app", "var/tmp")

# Folders of the image that the sandbox hides under empty ones: systemd's API file systems, PrivateTmp=, ProtectHome=.
HIDDEN = ("dev", "home", "proc", "root", "run", "sys", "tmp", "var/tmp")

# Docker puts these into every container; they are not the image's.
_DOCKERS_OWN = frozenset({".dockerenv", "etc/hosts", "etc/hostname", "etc/resolv.conf"})

_COMMIT = re.compile(r"[0-9a-f]{40}\Z")
_PROCFILE_LINE = re.compile(r"([A-Za-z0-9_-]+):\s*(\S.*)\Z")
# A cached tree may be in use by another deploy for this long after it was last asked for.
_KEEP_SECONDS = 900
_KEEP_TREES = 3
# Removing one takes a second, and a deploy waits for it.
_REMOVE_AT_ONCE = 2
# Larger files are written without a look at what was there: a comparison holds the whole of one in memory.
_COMPARED_BYTES = 64 * 2**20
# Seconds: what a time loses as a floating point number is far less.
_TIMES_DIFFER = 1e-4


class ImageError(ValueError):
    """An image that cannot be deployed; the text says which one, which rule it breaks and what to do."""

    def __init__(self, text: str, line: str | None = None) -> None:
        """`line` names the line of the contract that is broken; None: the image could not be looked at."""
        super().__init__(text)
        self.line = line


@dataclass(frozen=True)
class Image:
    """What `docker image inspect` says, as far as a deploy needs it."""

    name: str
    id: str
    architecture: str
    commit: str | None
    entrypoint: list[str]
    cmd: list[str]
    env: dict[str, str]
    workdir: str
    notes: list[str] = field(default_factory=list)

    @property
    def short(self) -> str:
        """Seven hex digits that end the names of its releases: of the commit, or of the image without one."""
        return (self.commit or self.id.removeprefix("sha256:"))[:7]


@dataclass(frozen=True)
class Tree:
    """An image's root file system, unpacked on the controller."""

    path: Path
    bytes: int
    inodes: int


class Docker:
    """The few commands of the docker CLI that are needed."""

    def __init__(self, executable: str) -> None:
        self.executable = executable

    def inspect(self, name: str, *, pull: bool) -> dict[str, Any]:
        """Return the image's `docker image inspect`, pulling it when it is not here.

        Raises:
            ImageError: docker does not answer, or there is no such image.
        """
        found = self._run("image", "inspect", name)
        if found.returncode and "no such image" not in found.stderr.lower():
            raise ImageError(
                f"docker does not answer: {found.stderr.strip()}. Start it (or point release_docker at another "
                "executable), then deploy again."
            )
        if found.returncode and pull:
            pulled = self._run("pull", "--quiet", name)
            if pulled.returncode:
                raise ImageError(
                    f"The image {name!r} is not on this machine and cannot be pulled: {pulled.stderr.strip()}. "
                    "Name one that exists (-e release_image=...; `docker image ls` lists those that are here), or "
                    "leave release_image out to build one from the working tree."
                )
            found = self._run("image", "inspect", name)
        if found.returncode:
            raise ImageError(f"The image {name!r} is not on this machine. Build or pull it first: docker pull {name}")
        inspected: dict[str, Any] = json.loads(found.stdout)[0]
        return inspected

    @contextlib.contextmanager
    def exported(self, image_id: str) -> Iterator[IO[bytes]]:
        """Yield the image's file system as a tar stream.

        Raises:
            ImageError: docker cannot make a container of it, or the stream broke off.
        """
        created = self._run("create", "--network=none", image_id)
        if created.returncode:
            raise ImageError(f"docker cannot make a container of {image_id}: {created.stderr.strip()}")
        container = created.stdout.strip()
        try:
            with subprocess.Popen([self.executable, "export", container], stdout=subprocess.PIPE) as export:
                assert export.stdout is not None
                yield export.stdout
                export.stdout.read()
            if export.returncode:
                raise ImageError(f"docker export of {image_id} ended with status {export.returncode}. Try again.")
        finally:
            self._run("rm", "--force", container)

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run([self.executable, *arguments], capture_output=True, text=True, check=False)
        except OSError as error:
            raise ImageError(
                f"{self.executable} cannot be run ({error.strerror}). Images are read by docker: install it, or set "
                "release_docker to where it is."
            ) from error


def find_docker() -> str:
    """Return the docker CLI: the distribution's where there is one, else the first in PATH."""
    return "/usr/bin/docker" if os.access("/usr/bin/docker", os.X_OK) else "docker"


def read_image(name: str, inspected: dict[str, Any]) -> Image:
    """Check an image's configuration against the contract.

    Raises:
        ImageError: it breaks a line of it.
    """
    config = inspected.get("Config") or {}
    entrypoint, cmd = list(config.get("Entrypoint") or []), list(config.get("Cmd") or [])
    if not entrypoint + cmd:
        raise ImageError(
            f"The image {name!r} has no command: neither ENTRYPOINT nor CMD. What they say is what runs: add a CMD "
            "that serves HTTP on the socket it is handed to its Dockerfile.",
            line="socket",
        )
    architecture = str(inspected.get("Architecture") or "")
    if inspected.get("Os") != "linux" or architecture not in ARCHITECTURES:
        raise ImageError(
            f"The image {name!r} is for {inspected.get('Os') or 'no system'}/{architecture or 'no architecture'}. "
            f"It must be for linux and one of {', '.join(ARCHITECTURES)}: build it with --platform linux/<that>.",
            line="system",
        )
    workdir = config.get("WorkingDir") or "/"
    if not workdir.startswith("/"):
        raise ImageError(
            f"The image {name!r} has WORKDIR {workdir!r}. It must be absolute: correct its Dockerfile.", line="socket"
        )
    env, notes = _environment(config.get("Env") or [])
    label = (config.get("Labels") or {}).get("org.opencontainers.image.revision") or ""
    return Image(
        name=name,
        id=str(inspected["Id"]),
        architecture=architecture,
        commit=label if _COMMIT.match(label) else None,
        entrypoint=entrypoint,
        cmd=cmd,
        env=env,
        workdir=workdir,
        notes=notes + _unused(config),
    )


def _environment(lines: list[str]) -> tuple[dict[str, str], list[str]]:
    env = dict(line.partition("=")[::2] for line in lines)
    reserved = sorted(name for name in env if is_reserved(name))
    notes = [f"ENV {name} is not used: the unit sets it." for name in reserved]
    return {name: value for name, value in env.items() if name not in reserved}, notes


def _unused(config: dict[str, Any]) -> list[str]:
    """Name what an image may say and a deploy has no use for."""
    reasons = {
        "User": ("USER", "the app runs as the host's user `app`"),
        "Volumes": ("VOLUME", "the app's data is in $STATE_DIRECTORY"),
        "ExposedPorts": ("EXPOSE", "the app serves on the socket it is handed"),
        "Healthcheck": ("HEALTHCHECK", "app_ready_path is asked instead"),
    }
    return [f"{line} is not used: {reason}." for key, (line, reason) in reasons.items() if config.get(key)]


def cached_tree(cache: Path, image: Image) -> Tree | None:
    """Return the image's tree if it was unpacked before, and note that it is in use."""
    entry = _entry(cache, image)
    try:
        facts = json.loads((entry / "tree.json").read_text())
        os.utime(entry)
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return Tree(entry / "tree", facts["bytes"], facts["inodes"])


def unpack(docker: Docker, cache: Path, image: Image) -> Tree:
    """Unpack the image into the cache. Two at once both succeed: the second finds the place taken and uses it.

    What is the same in the tree that was last in use is linked to it, not written: that is most of a code-only change.

    Raises:
        ImageError: docker does not hand it over.
    """
    cache.mkdir(parents=True, exist_ok=True)
    base = next((entry / "tree" for entry in _entries(cache) if (entry / "tree.json").exists()), None)
    partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=cache))
    try:
        tree = partial / "tree"
        tree.mkdir()
        with docker.exported(image.id) as stream:
            size, inodes = _extract(stream, tree, base)
        (partial / "tree.json").write_text(json.dumps({"image": image.id, "bytes": size, "inodes": inodes}))
        partial.chmod(0o755)
        entry = _entry(cache, image)
        try:
            partial.rename(entry)
        except OSError:
            if not (entry / "tree.json").exists():
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return Tree(entry / "tree", size, inodes)


def _entry(cache: Path, image: Image) -> Path:
    return cache / image.id.removeprefix("sha256:")[:32]


def _entries(cache: Path) -> list[Path]:
    """List what is in the cache, the last in use first."""
    entries = [entry for entry in cache.iterdir() if entry.is_dir()] if cache.is_dir() else []
    return sorted(entries, key=lambda entry: entry.stat().st_mtime, reverse=True)


def _extract(stream: IO[bytes], tree: Path, base: Path | None) -> tuple[int, int]:
    """Unpack a tar stream as an ordinary user can: no owners, no devices, no set-id bits; return bytes and inodes.

    Files that are the same in `base` are linked to those.
    """
    size = inodes = 0
    directories: list[tarfile.TarInfo] = []
    links: set[str] = set()
    linked: set[int] = set()
    with tarfile.open(fileobj=stream, mode="r|", errorlevel=1) as archive:
        # What a member may be is decided here. Python before 3.11.4 (Debian 12's) has no filters to switch off.
        archive.extraction_filter = getattr(tarfile, "fully_trusted_filter", None)
        for member in archive:
            name = member.name = _inside(member.name, links)
            if member.islnk():
                member.linkname = _inside(member.linkname, links)
            if name in _DOCKERS_OWN or name.startswith("dev/") or not _is_plain(member):
                continue
            if member.issym():
                links.add(name)
            # Whoever unpacks it must be able to read it again, and nobody runs it as somebody else.
            member.mode = member.mode & 0o755 | (0o700 if member.isdir() else 0o600)
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


def _put(path: str, content: bytes, member: tarfile.TarInfo, old: str | None, linked: set[int]) -> None:
    """Make a file: a link to the old one if that has the same mode, time and content.

    `linked` are the inodes that the tree has by now: what are two files in the image stays two files.
    """
    if old is not None and (inode := _same(old, content, member)) and inode not in linked:
        try:
            os.link(old, path, follow_symlinks=False)
        except OSError:  # it was pruned just now, is another user's, or has as many links as the file system allows
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


def check_tree(image: Image, tree: Path) -> None:
    """Check what only the file system shows.

    Raises:
        ImageError: it breaks a line of the contract.
    """
    if resolve(tree, "/bin/sh") is None:
        raise ImageError(
            f"The image {image.name!r} has no /bin/sh. The start scripts need one: base it on an image with a shell "
            "(debian:trixie-slim, alpine), not on scratch or distroless.",
            line="shell",
        )
    if os.path.lexists(tree / ".slipway"):
        raise ImageError(
            f"The image {image.name!r} has a /.slipway. That name is for the start scripts: remove it.", line="folders"
        )
    for name in REAL_DIRECTORIES:
        here = tree / name
        if here.is_symlink() or (here.exists() and not here.is_dir()):
            what = "a symbolic link" if here.is_symlink() else "a file"
            raise ImageError(
                f"In the image {image.name!r}, /{name} is {what}. Make it a directory: systemd mounts there.",
                line="folders",
            )
    for what, path in {"WORKDIR": image.workdir, "command": (image.entrypoint + image.cmd)[0]}.items():
        for hidden in HIDDEN:
            if f"{path}/".startswith(f"/{hidden}/"):
                raise ImageError(
                    f"The image {image.name!r} has the {what} {path}, and the sandbox hides the image's /{hidden}. "
                    "Put it elsewhere in the Dockerfile: below /app, /opt or /srv.",
                    line="folders",
                )
    workdir = resolve(tree, image.workdir)
    if workdir is None or not workdir.is_dir():
        raise ImageError(
            f"The image {image.name!r} has WORKDIR {image.workdir}, but no such directory. Correct its Dockerfile.",
            line="socket",
        )


def read_procfile(image: Image, tree: Path) -> dict[str, str]:
    """Return the processes of the Procfile in WORKDIR; none without one. `web` is the image's own command.

    Raises:
        ImageError: a line is not `name: command`, or a name comes twice.
    """
    file = resolve(tree, f"{image.workdir}/Procfile")
    if file is None or not file.is_file():
        return {}
    processes: dict[str, str] = {}
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        match = _PROCFILE_LINE.match(text)
        if not match:
            raise ImageError(
                f"{image.workdir}/Procfile of {image.name!r}, line {number}: {text!r} is not `name: command`.",
                line="procfile",
            )
        name, command = match.groups()
        if name in processes:
            raise ImageError(
                f"{image.workdir}/Procfile of {image.name!r}, line {number}: {name!r} comes twice.", line="procfile"
            )
        processes[name] = command
    processes.pop("web", None)
    return processes


def resolve(tree: Path, path: str) -> Path | None:
    """Follow `path` as a process inside the tree would, links included; None if it leads nowhere."""
    pending, inside, links = list(PurePosixPath(path).parts[1:]), PurePosixPath("/"), 0
    while pending:
        part = pending.pop(0)
        if part == "..":
            inside = inside.parent
            continue
        here = tree / str(inside / part).lstrip("/")
        if here.is_symlink():
            links += 1
            if links > 40:
                return None
            target = PurePosixPath(here.readlink())
            if target.is_absolute():
                inside = PurePosixPath("/")
                pending = list(target.parts[1:]) + pending
            else:
                pending = list(target.parts) + pending
        elif here.exists():
            inside /= part
        else:
            return None
    return tree / str(inside).lstrip("/")


def prune(cache: Path, now: float | None = None) -> None:
    """Remove trees that nobody asked for lately, and what an interrupted unpacking left."""
    now = time.time() if now is None else now
    entries = _entries(cache)
    whole = [entry for entry in entries if not entry.name.startswith(".partial-")]
    old = [
        entry for entry in entries if now - entry.stat().st_mtime > _KEEP_SECONDS and entry not in whole[:_KEEP_TREES]
    ]
    for entry in old[-_REMOVE_AT_ONCE:]:
        shutil.rmtree(entry, ignore_errors=True)
