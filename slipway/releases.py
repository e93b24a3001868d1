"""Releases on disk: their names, files and records, and the links that say which of them serves."""

import json
import math
import os
import re
import shutil
import stat
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from slipway.errors import SlipwayError, UsageError

NAME = re.compile(r"[0-9]{8}T[0-9]{6}-[0-9a-f]{7}")
SLICES = ("live", "canary")
TURN_SECONDS = 3600
"""So long a release that was shipped may wait to be activated, behind another one."""


def check_name(name: str) -> str:
    """Return `name` if it is the name of a release.

    Raises:
        UsageError: it is not.
    """
    if not NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} is not the name of a release: it takes the form <UTC time>-<short commit>, for example "
            "20261122T105851-3f2a9c1. `slipway status` lists the ones on this host."
        )
    return name


def now() -> str:
    """The time in UTC, ISO 8601, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@dataclass
class Record:
    """What is known of a release; kept beside its files as `<release>.json`."""

    release: str
    commit: str | None = None
    image: str = ""
    image_name: str = ""
    identity: dict[str, str] = field(default_factory=dict)
    """Hashes of what makes two releases the same: image, settings, secrets, units."""
    state: str = "shipped"
    """shipped, activating, live, retired or failed."""
    healthy: bool = False
    """It has been live and passed every check: a rollback may go to it."""
    previous: str | None = None
    """The release that was live when this one was deployed: where a rollback from here goes."""
    shipped_at: str | None = None
    live_at: str | None = None
    retired_at: str | None = None
    request: dict[str, Any] = field(default_factory=dict)
    """The latest activation: id, kind (deploy or rollback), by, at, and its state: requested, running, live (the old
    release is still being retired), done or failed."""
    phase: str | None = None
    """The phase that the activation is in, None when it has ended."""
    phases: list[dict[str, Any]] = field(default_factory=list)
    """Name and seconds of each phase that has ended."""
    cause: str | None = None
    """Why it failed."""
    warnings: list[str] = field(default_factory=list)


def _waits(record: Record) -> bool:
    """Whether a release may be about to be activated: just shipped, or asked for and behind another one."""
    asked = record.request
    patience = max(TURN_SECONDS, asked.get("lock_wait") or 0)
    return (record.state == "shipped" and _age(record.shipped_at) < TURN_SECONDS) or (
        asked.get("state") == "requested" and _age(asked.get("at")) < patience
    )


def _age(moment: str | None) -> float:
    """Seconds since then; infinite if nobody knows when."""
    return math.inf if moment is None else (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()


def write_atomically(path: Path, text: str) -> None:
    """Replace a file so that a reader, or a power cut, sees the old text or the new one and nothing between."""
    temporary = path.with_name(f".{path.name}.new")
    with temporary.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


@dataclass(frozen=True)
class Releases:
    """The releases of this host. `root` is owned by `deploy`, `sockets` by root."""

    root: Path = Path("/srv/app")
    sockets: Path = Path("/run/app")

    @property
    def folder(self) -> Path:
        """Where the releases are."""
        return self.root / "releases"

    def path(self, release: str) -> Path:
        """The file system of a release."""
        return self.folder / release

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
            values = json.loads(path.read_text())
            if not isinstance(values, dict):
                raise ValueError("it is not a JSON object")
        except FileNotFoundError:
            raise SlipwayError(
                f"there is no release {release} on this host. `slipway status` lists the ones that are here."
            ) from None
        except ValueError as error:
            raise SlipwayError(f"{path} cannot be read ({error}); remove it and deploy again.") from None
        known = {name: value for name, value in values.items() if name in Record.__dataclass_fields__}
        return Record(**known | {"release": release})

    def known(self, release: str) -> Record:
        """The record of a release, or a stand-in that says that it is missing or damaged."""
        try:
            return self.record(release)
        except SlipwayError:
            return Record(release=release, state="failed", cause="its record is missing or damaged")

    def save(self, record: Record) -> None:
        """Write the record of a release."""
        write_atomically(self.folder / f"{record.release}.json", json.dumps(asdict(record), indent=1) + "\n")

    def all(self) -> list[Record]:
        """The records of all complete releases, newest first."""
        if not self.folder.is_dir():
            return []
        names = sorted((path.name for path in self.folder.iterdir() if NAME.fullmatch(path.name)), reverse=True)
        return [self.known(name) for name in names]

    # Links

    def current(self) -> str | None:
        """The release that is live, and boots; None on a host without one."""
        return self._link_target(self.root / "current", NAME)

    def slice(self, name: str) -> str | None:
        """The release that a slice of the traffic goes to."""
        target = self._link_target(self.root / f"{name}.sock", re.compile(NAME.pattern + r"\.sock"))
        return target.removesuffix(".sock") if target else None

    def set_current(self, release: str | None) -> None:
        """Make a release the one that is live and boots; None: there is none."""
        if release is None:
            (self.root / "current").unlink(missing_ok=True)
            return
        self._swap(self.root / "current", Path("releases") / release)

    def set_slice(self, name: str, release: str) -> None:
        """Point a slice of the traffic at a release: atomic, and seen by nginx's next connection."""
        self._swap(self.root / f"{name}.sock", self.socket(release))

    def clear_slice(self, name: str) -> None:
        """Point a slice of the traffic at nothing."""
        (self.root / f"{name}.sock").unlink(missing_ok=True)

    @staticmethod
    def _link_target(link: Path, pattern: re.Pattern[str]) -> str | None:
        try:
            name = link.readlink().name
        except OSError:
            return None
        return name if pattern.fullmatch(name) else None

    @staticmethod
    def _swap(link: Path, target: Path) -> None:
        temporary = link.with_name(f".{link.name}.new")
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(target)
        temporary.replace(link)

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

    def remove(self, release: str) -> None:
        """Remove a release: its record first, so that half its files are listed as failed, and no rollback's target."""
        (self.folder / f"{release}.json").unlink(missing_ok=True)
        remove_tree(self.path(release))


def remove_tree(path: Path) -> None:
    """Remove a folder and all below it; an image's read-only folders are made writable on the way."""
    if not path.exists() and not path.is_symlink():
        return
    if path.is_symlink():
        path.unlink()
        return
    _open(path)
    for folder, below, _ in os.walk(path):
        for name in below:
            _open(Path(folder) / name)
    shutil.rmtree(path)


def _open(folder: Path) -> None:
    """Let the owner in. A link's own mode lets everybody in, so what it points at is left alone."""
    mode = stat.S_IMODE(folder.lstat().st_mode)
    if mode & stat.S_IRWXU != stat.S_IRWXU:
        folder.chmod(mode | stat.S_IRWXU)
