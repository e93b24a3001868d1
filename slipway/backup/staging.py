"""What a snapshot has: the app's folders as they are, and beside them a folder with consistent copies of databases."""

import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from slipway.backup import postgresql, sqlite
from slipway.backup.process import run
from slipway.backup.settings import STATE, BackupError, Settings

STAGING = STATE / "staging"
"""In a snapshot, too: copies of databases, and the manifest."""
SCRATCH = STATE / "scratch"
"""Where a snapshot is restored to."""
MANIFEST, DUMP, COPIES = "manifest.json", "postgresql.dump", "sqlite"
APP = "app"
RESERVE_BYTES = 256 << 20
"""What stays free for everybody else."""

Rows = dict[str, int]


@dataclass(frozen=True)
class Manifest:
    """What a snapshot has to bring back."""

    at: str
    tables: Rows | None
    """The rows of PostgreSQL's tables; None without PostgreSQL."""
    extensions: list[str] = field(default_factory=list)
    sqlite: dict[str, dict[str, Rows]] = field(default_factory=dict)
    """By folder and database: the rows of each table."""
    owner: tuple[int, int] | None = None
    """The numbers of the app's user and group: other ones on another machine."""
    lsn: str | None = None
    """Where PostgreSQL's WAL was."""

    @property
    def counts(self) -> tuple[int, int]:
        """The number of tables, and of rows in them."""
        counted = [self.tables or {}, *(rows for each in self.sqlite.values() for rows in each.values())]
        return sum(map(len, counted)), sum(sum(rows.values()) for rows in counted)

    def save(self, folder: Path) -> None:
        """Write it into a folder."""
        (folder / MANIFEST).write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read it from a folder.

        Raises:
            BackupError: there is none, or it is damaged.
        """
        try:
            values: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
            owner = tuple(values["owner"]) if values["owner"] else None
            return cls(values["at"], values["tables"], values["extensions"], values["sqlite"], owner, values.get("lsn"))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BackupError(f"the snapshot has no manifest ({error}): choose another by --snapshot") from None


@contextmanager
def emptied(folder: Path, mode: int = 0o700) -> Iterator[Path]:
    """Give an empty folder, and remove it in the end."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    folder.chmod(mode)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def require_room(needed: int, folder: Path = STATE) -> None:
    """Verify that a disk takes so many bytes more.

    Raises:
        BackupError: it does not.
    """
    free = shutil.disk_usage(folder).free
    if free < needed + RESERVE_BYTES:
        raise BackupError(
            f"the disk of {folder} has {free >> 20} MiB free, and {needed + RESERVE_BYTES >> 20} are needed: "
            "make room, or give that folder a disk of its own"
        )


def copy_sqlite(folder: Path, target: Path) -> dict[str, Rows]:
    """Copy the SQLite databases below a folder, as the app's user. Returns their rows.

    Raises:
        BackupError: one is damaged or stays locked.
    """
    return _script("copy", folder, _for_app(target))


def count_sqlite(folder: Path) -> dict[str, Rows]:
    """Count the rows of the databases below a folder, as the app's user.

    Raises:
        BackupError: one is damaged.
    """
    return _script("count", folder)


def _script(*words: str | Path) -> dict[str, Rows]:
    rows: dict[str, dict[str, int]] = json.loads(run([sys.executable, "-I", "-B", sqlite.__file__, *words], APP))
    return rows


def _for_app(folder: Path) -> Path:
    """Create a folder of the app's user, below one of root's that it may pass."""
    folder.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0:
        shutil.chown(folder, APP, APP)
    return folder


def _give_to_app(copies: Path) -> None:
    """Let the app's user read restored copies: its number was another one on another machine."""
    if os.geteuid() == 0:
        run(["chown", "--recursive", "--no-dereference", f"{APP}:{APP}", copies])
    for parent in copies.parents:
        if parent == STATE:
            return
        parent.chmod(0o711)


def below(folder: Path, path: Path) -> Path:
    """Return where a path of the host is below a folder."""
    return folder / path.relative_to("/")


def compare(what: str, expected: Rows, found: Rows) -> None:
    """Compare rows.

    Raises:
        BackupError: they differ.
    """
    different = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    if different:
        shown = "; ".join(
            f"{name}: {expected.get(name)} backed up, {found.get(name)} restored" for name in different[:5]
        )
        raise BackupError(f"{what} came back with other rows ({shown})")


def restore_databases(folder: Path, manifest: Manifest) -> None:
    """Restore the copies in a folder, and compare their rows with the manifest's.

    PostgreSQL's are in the scratch database then.

    Raises:
        BackupError: they do not come back as they were.
    """
    if manifest.tables is not None:
        postgresql.restore(folder / DUMP, manifest.extensions)
        compare("PostgreSQL", manifest.tables, postgresql.rows(postgresql.SCRATCH))
    for name, databases in manifest.sqlite.items():
        copies = below(folder / COPIES, Path(name))
        if copies.is_dir():
            _give_to_app(copies)
        found = count_sqlite(copies) if copies.is_dir() else {}
        for database in databases.keys() | found.keys():
            compare(f"{name}/{database}", databases.get(database, {}), found.get(database, {}))


def expected_bytes(settings: Settings) -> int:
    """Return the most that the copies of databases take."""
    needed = postgresql.size() if settings.postgresql else 0
    for folder in settings.folders:
        needed += sum(path.stat().st_size for path in sqlite.databases(folder))
    return needed
