"""Releases on disk: their names, files and records, and the links to the release that serves."""

import errno
import json
import math
import os
import re
import shutil
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from slipway.engine import durable
from slipway.engine.durable import write_atomically
from slipway.engine.files import read_regular
from slipway.model.errors import SlipwayError
from slipway.model.image import DEFAULT_PORT
from slipway.model.names import RELEASE
from slipway.model.record import Record
from slipway.model.states import ActivationState, ReleaseState

T = TypeVar("T")
SHORT_OF_ROOM = {errno.ENOSPC, errno.EDQUOT}
SLICES = ("live", "canary")
NOTHING = "none"
"""In place of a release: no traffic goes there."""
TURN_SECONDS = 3600
"""So long a release that was shipped may wait to be activated, behind another one."""


def now() -> str:
    """The time in UTC, ISO 8601, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _waits(record: Record) -> bool:
    """Whether a release may be about to be activated: just shipped, or requested and behind another one."""
    if record.state is ReleaseState.SHIPPED and _age(record.shipped_at) < TURN_SECONDS:
        return True
    request = record.request
    return (
        request is not None
        and request.state is ActivationState.REQUESTED
        and _age(request.requested_at) < max(TURN_SECONDS, request.lock_wait)
    )


def _age(moment: str | None) -> float:
    """Seconds between a moment and now, also if the clock was set back since; infinite if it is not known."""
    return math.inf if moment is None else abs((datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds())


@dataclass(frozen=True)
class Releases:
    """The releases of this host.

    `root` is owned by `sealer`, and `deploy` may add to it (mode 1775): it cannot change what is in `sealed`, nor the
    links of the slices. `sockets` is root's.
    """

    root: Path = Path("/srv/app")
    sockets: Path = Path("/run/app")

    @property
    def folder(self) -> Path:
        """Where `deploy` keeps the records, and receives releases."""
        return self.root / "releases"

    @property
    def sealed(self) -> Path:
        """Where the releases are, which `deploy` cannot change."""
        return self.root / "sealed"

    def path(self, release: str) -> Path:
        """The file system of a release."""
        return self.sealed / release

    def seal_error(self, release: str) -> str | None:
        """Why a release could not be sealed."""
        try:
            return self.seal_error_file(release).read_text()
        except OSError:
            return None

    def seal_error_file(self, release: str) -> Path:
        """Where `sealer` says so."""
        return self.sealed / f".{release}.error"

    def shipment(self, release: str) -> Path:
        """What is known of a release whose files arrive."""
        return self.folder / f".{release}.manifest.json"

    def partial(self, release: str) -> Path:
        """Where a release's files arrive before they are complete."""
        return self.folder / f".{release}.partial"

    def socket(self, release: str) -> Path:
        """The listening socket of a release."""
        return self.sockets / f"{release}.sock"

    # Records

    def record(self, release: str) -> Record:
        """Read the record of a release.

        Raises:
            SlipwayError: there is none, or it cannot be read.
        """
        path = self.folder / f"{release}.json"
        try:
            return Record.from_json(release, json.loads(read_regular(path)))
        except FileNotFoundError:
            raise SlipwayError(
                f"there is no release {release} on this host. `slipway status` lists the ones that are here."
            ) from None
        except (OSError, SlipwayError, ValueError, TypeError, AttributeError) as error:
            raise SlipwayError(f"{path} cannot be read ({error}); remove it and deploy again.") from None

    def known(self, release: str) -> Record:
        """The record of a release, or a stand-in where that is missing or damaged."""
        try:
            return self.record(release)
        except SlipwayError:
            cause = "its record is missing or damaged"
            return Record(release=release, state=ReleaseState.FAILED, port=self.port(release), cause=cause)

    def save(self, record: Record) -> None:
        """Write the record of a release, on a full disk with the room that is kept for that."""
        text = json.dumps(record.to_json(), indent=1) + "\n"
        self.with_reserve(lambda: write_atomically(self.folder / f"{record.release}.json", text))

    def all(self) -> list[Record]:
        """The records of all complete releases, newest first."""
        if not self.sealed.is_dir():
            return []
        names = sorted((path.name for path in self.sealed.iterdir() if RELEASE.fullmatch(path.name)), reverse=True)
        return [self.known(name) for name in names]

    # Ports

    def ports(self, release: str) -> list[int]:
        """The ports on which a release may listen, the best first: written when it was shipped, by 0.9 not yet."""
        try:
            return [int(line) for line in (self.path(release) / ".slipway/ports").read_text().split()] or [DEFAULT_PORT]
        except (OSError, ValueError):
            return [DEFAULT_PORT]

    def port(self, release: str) -> int | None:
        """The port that requests to a release go to, as its proxy reads it; None: none was written."""
        # Engines before sealing wrote it into the release.
        for file in (self._port_file(release), self.path(release) / ".slipway/port"):
            with suppress(OSError, SlipwayError, ValueError):
                return int(read_regular(file))
        return None

    def set_port(self, release: str, port: int) -> None:
        """Write the port that requests to a release go to, for its proxy."""
        write_atomically(self._port_file(release), f"{port}\n")

    def _port_file(self, release: str) -> Path:
        return self.folder / f"{release}.port"

    def command_file(self, release: str) -> Path:
        """The script of a one-off command, which the unit command@ puts into the release."""
        return self.folder / f"{release}.run"

    # Room

    @property
    def reserve(self) -> Path:
        """A file that takes room until the disk is full."""
        return self.folder / ".reserve"

    def give_up_reserve(self) -> bool:
        """Make the room of the reserve free. Returns whether there was any."""
        try:
            self.reserve.unlink()
        except OSError:
            return False
        return True

    def with_reserve(self, write: Callable[[], T]) -> T:
        """Write something; on a full disk once more, with the room of the reserve.

        Raises:
            OSError: the disk is full all the same, or failed.
        """
        try:
            return write()
        except OSError as error:
            if error.errno not in SHORT_OF_ROOM or not self.give_up_reserve():
                raise
            return write()

    # Links

    def current(self) -> str | None:
        """The release that is live, and boots; None on a host without one."""
        return self._link_target(self.root / "current", RELEASE)

    def slice(self, name: str) -> str | None:
        """The release that a slice of the traffic goes to."""
        target = self._link_target(self.slice_link(name), re.compile(RELEASE.pattern + r"\.sock"))
        return target.removesuffix(".sock") if target else None

    def set_current(self, release: str | None) -> None:
        """Make a release the one that is live and boots; None: there is none."""
        if release is None:
            (self.root / "current").unlink(missing_ok=True)
            durable.sync_folder(self.root)
            return
        durable.link(self.root / "current", Path("sealed") / release, self.root / ".current.new")

    def set_slice(self, name: str, release: str | None) -> None:
        """Point a slice of the traffic at a release, or at nothing, as the user `sealer`.

        The units point-live@ and point-canary@ do the same, without a start of Python.
        """
        # `keep` syncs the links, and at boot `recover` points them at the live release, before nginx starts.
        link = self.sealed / f".{name}.link"  # where nobody else can have put something in its place
        durable.link(self.slice_link(name), self.socket(release or NOTHING), link, sync=False)

    def slice_link(self, name: str) -> Path:
        """The link of a slice of the traffic, which nginx follows; the units point-@ change it."""
        return self.root / f"{name}.sock"

    @staticmethod
    def _link_target(link: Path, pattern: re.Pattern[str]) -> str | None:
        try:
            name = link.readlink().name
        except OSError:
            return None
        return name if pattern.fullmatch(name) else None

    # Choosing

    def rollback_target(self) -> str | None:
        """The last release before the live one that was healthy and is still here.

        It follows what was live before what, not the names: after a rollback from C to B, a deploy D goes back to B.
        """
        present = {record.release: record for record in self.all()}
        seen = {self.current()}
        release = self.current()
        while release in present and (release := present[release].previous) not in seen:
            if release in present and present[release].healthy:
                return release
            seen.add(release)
        return None

    def prunable(self, keep: int, in_use: set[str]) -> list[str]:
        """Releases to remove, so that `keep` stay: failed ones before healthy ones, older before newer.

        Never the live one, the rollback target, what a slice points at, what is `in_use`, or what was just shipped and
        may be waiting for its turn.
        """
        records = self.all()
        waiting = {record.release for record in records if _waits(record)}
        protected = {self.current(), self.rollback_target(), *map(self.slice, SLICES), *in_use, *waiting}
        spare = [record for record in records if record.release not in protected]
        spare.sort(key=lambda record: (record.healthy, record.release))
        room = max(0, keep - (len(records) - len(spare)))
        return [record.release for record in spare[: max(0, len(spare) - room)]]

    def sync(self) -> None:
        """Wait until all files of releases, their records and the links are on the disk.

        Raises:
            OSError: the disk failed.
        """
        durable.sync_file_systems(*filter(Path.is_dir, (self.root, self.folder, self.sealed)))

    def forget(self, release: str) -> None:
        """Remove what `deploy` has of a release. Before its files: half of them are no rollback's target."""
        for path in (self.folder / f"{release}.json", self._port_file(release), self.command_file(release)):
            path.unlink(missing_ok=True)
        durable.sync_folder(self.folder)

    def arrived(self) -> list[Path]:
        """What was received of releases that are sealed by now."""
        found = self.folder.glob(".*.partial")
        return [path for path in found if self.path(path.name.removeprefix(".").removesuffix(".partial")).is_dir()]

    def unsealed(self) -> list[Path]:
        """The trees that engines before sealing received; each is sealed as well."""
        if not self.folder.is_dir():
            return []
        folders = (path for path in self.folder.iterdir() if RELEASE.fullmatch(path.name))
        return sorted(path for path in folders if path.is_dir() and not path.is_symlink())


def remove_tree(path: Path) -> None:
    """Remove a folder and all below it.

    An image's read-only folders are made writable on the way. Empty ones of root's may be there: systemd makes what it
    mounts on.
    """
    if not path.exists() and not path.is_symlink():
        return
    if path.is_symlink():
        path.unlink()
        return
    _open(path)
    for folder, below, _ in os.walk(path):
        for name in list(below):
            inner = Path(folder) / name
            if inner.is_symlink() or os.geteuid() in {0, inner.lstat().st_uid}:
                _open(inner)
            else:
                inner.rmdir()
                below.remove(name)
    shutil.rmtree(path)


def _open(folder: Path) -> None:
    """Let the owner in. A link's own mode lets everybody in, so what it points at is left alone."""
    mode = stat.S_IMODE(folder.lstat().st_mode)
    if mode & stat.S_IRWXU != stat.S_IRWXU:
        folder.chmod(mode | stat.S_IRWXU)
