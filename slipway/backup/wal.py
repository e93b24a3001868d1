"""WAL archiving: what PostgreSQL writes after a base backup follows it into the repository within seconds.

archive-wal, PostgreSQL's archive_command, leaves files below ARCHIVE; backup@wal.service copies them to the repository.
A snapshot of WAL has all of it since the base backup that it is tagged with, so a restore needs the last one alone.
"""

import json
import shutil
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from slipway.backup import postgresql, report
from slipway.backup.process import run
from slipway.backup.restic import Repository, RepositoryLockedError, Snapshot
from slipway.backup.settings import STATE, BackupError
from slipway.backup.staging import emptied, require_room
from slipway.engine.durable import write_atomically

ARCHIVE = Path("/var/lib/slipway-wal")
SEGMENTS, NEW, DROPPED = ARCHIVE / "segments", ARCHIVE / "new", ARCHIVE / "dropped"
"""Files of WAL since the base backup; names of those to copy; a file that is there if archive-wal dropped one."""
BASE = STATE / "base"
"""In a snapshot, too: the cluster as pg_basebackup writes it, in the folder `data`."""
CURRENT = STATE / "base.json"
"""The base backup that WAL follows."""
BASE_TAG, WAL_TAG = "slipway-base", "slipway-wal"
KEEP = timedelta(days=2)
"""So far back a moment can be restored, as all backups are kept."""
MOST_BYTES = 1 << 30
"""So much WAL, and as much as the cluster has, may follow a base backup: more takes long to replay."""
LOCK_TRIES = 720
LOCK_WAIT_SECONDS = 5.0
"""Together an hour: while old snapshots are removed the repository is locked."""


def current(repository: Repository) -> str | None:
    """Return the id of the base backup that WAL follows; None: there is none in this repository."""
    try:
        values: dict[str, Any] = json.loads(CURRENT.read_text())
        return str(values["snapshot"]) if values["repository"] == repository.settings.repository else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def needs_base(repository: Repository) -> bool:
    """Whether a base backup is to be made: there is none, or much WAL follows it."""
    size = sum(path.stat().st_size for path in SEGMENTS.iterdir())
    return current(repository) is None or size > max(MOST_BYTES, postgresql.cluster_size())


def make_base(repository: Repository) -> None:
    """Make a base backup, which WAL follows from then on, and record a failure.

    Raises:
        BackupError: it failed; WAL goes on to follow the one before.
    """
    require_room(postgresql.cluster_size())
    with emptied(BASE, 0o711) as folder:
        data = folder / "data"
        data.mkdir(mode=0o700)
        shutil.chown(data, postgresql.USER, postgresql.USER)
        # With the WAL that was written meanwhile: it can be restored alone.
        run(["pg_basebackup", f"--pgdata={data}", "--checkpoint=fast", "--no-sync", "--no-password"], postgresql.USER)
        start = postgresql.first_segment((data / "backup_label").read_text())
        made = repository.backup([folder], [], "base", BASE_TAG)
    with report.locked(name=report.WAL_LOCK):
        # Of the one before: what was archived meanwhile belongs to it as well.
        ship(repository)
        values = {"snapshot": made["snapshot_id"], "repository": repository.settings.repository}
        write_atomically(CURRENT, json.dumps(values), 0o600)
        for path in SEGMENTS.iterdir():
            if postgresql.is_before(path.name, start):
                path.unlink()


def ship(repository: Repository) -> int:
    """Copy new WAL to the repository. Returns how many files it is.

    Raises:
        BackupError: it failed, and is to be tried again.
    """
    new = sorted(NEW.iterdir())
    if new and (base := current(repository)):
        for tries_left in reversed(range(LOCK_TRIES)):
            try:
                repository.backup([SEGMENTS], [], _follows(base), WAL_TAG)
                break
            except RepositoryLockedError:
                if not tries_left:
                    raise
                time.sleep(LOCK_WAIT_SECONDS)
                repository.unlock()
    for path in new:
        path.unlink()
    return len(new)


def start_over(repository: Repository) -> None:
    """After a gap: the WAL that follows it needs another base backup.

    Raises:
        BackupError: what was archived before the gap could not be copied.
    """
    ship(repository)
    CURRENT.unlink(missing_ok=True)
    DROPPED.unlink()


def verify_archiving() -> None:
    """Verify that PostgreSQL archives.

    Raises:
        BackupError: it does not, and keeps its WAL until the disk is full.
    """
    state = json.loads(postgresql.query(postgresql.ARCHIVER, "postgres"))
    if state["mode"] != "on":
        raise BackupError("PostgreSQL archives no WAL (archive_mode is off). Type: slipway provision <environment>")
    if state["failing"]:
        raise BackupError(
            f"PostgreSQL cannot archive {state['failing']}, and keeps all WAL since then: "
            "journalctl -u 'postgresql@*' -n 50"
        )


def clear() -> None:
    """Remove WAL that no base backup has before it."""
    for path in SEGMENTS.iterdir():
        path.unlink()


def forget(repository: Repository) -> None:
    """Remove base backups that no moment of the last two days needs, and all WAL but the last of each base backup.

    A moment needs the base backup before it, so the newest that is older than that stays, too.

    Raises:
        BackupError: it failed, or the repository stayed locked.
    """
    bases, wal = repository.snapshots(BASE_TAG), repository.snapshots(WAL_TAG)
    older = [each.id for each in bases if each.at <= bases[-1].at - KEEP]
    kept = {each.id for each in bases}.difference(older[:-1])
    last = {each.kind: each.id for each in wal if each.kind in map(_follows, kept)}
    staying = kept.union(last.values())
    repository.remove([each.id for each in (*bases, *wal) if each.id not in staying])


def last_of(repository: Repository, base: Snapshot) -> Snapshot | None:
    """Return the snapshot with all the WAL that follows a base backup; None: nothing was written since."""
    return next((each for each in reversed(repository.snapshots(WAL_TAG)) if each.kind == _follows(base.id)), None)


def _follows(base: str) -> str:
    return f"base-{base[:8]}"
