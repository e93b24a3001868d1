"""Make a backup, as backup@KIND.service does.

KIND is nightly, base (PostgreSQL's WAL needs a base backup), manual, or the release whose migrations come next.
"""

import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from slipway.backup import contents, postgresql, report, schedule, wal
from slipway.backup.restic import Repository
from slipway.backup.settings import BackupError, Settings
from slipway.backup.staging import (
    APP,
    COPIES,
    DUMP,
    STAGING,
    Manifest,
    below,
    copy_sqlite,
    emptied,
    expected_bytes,
    require_room,
)
from slipway.engine.releases import now

NIGHTLY, BASE, MANUAL = "nightly", "base", "manual"


def create(settings: Settings, repository: Repository, kind: str) -> dict[str, Any]:
    """Make a snapshot. Returns what there is to tell of it; without any data there is none, and `state` is `empty`.

    Raises:
        BackupError: it failed, and there is no snapshot.
    """
    repository.unlock()
    require_room(max(expected_bytes(settings), postgresql.cluster_size() if settings.wal else 0))
    excluded: list[Path] = []
    copied = {}
    with emptied(STAGING, 0o711) as staging:
        dumped: dict[str, Any] = {"tables": None, "extensions": [], "lsn": None}
        if settings.postgresql:
            dumped = postgresql.dump(staging / DUMP)
        folders = [folder for folder in settings.folders if folder.is_dir()]
        for folder in folders:
            rows = copy_sqlite(folder, _below_root(staging, folder))
            copied[str(folder)] = rows
            excluded += [folder / f"{name}{suffix}" for name in rows for suffix in contents.BESIDE_A_DATABASE]
        app = pwd.getpwnam(APP) if folders else None
        owner = app and (app.pw_uid, app.pw_gid)
        manifest = Manifest(now(), dumped["tables"], dumped["extensions"], copied, owner, dumped["lsn"])
        if kind != MANUAL and not _has_data(manifest, folders):
            return {"state": "empty"}
        manifest.save(staging)
        summary = repository.backup([staging, *folders], excluded, kind)
    tables, rows_in_all = manifest.counts
    return {
        "snapshot": summary["snapshot_id"][:8],
        "tables": tables,
        "rows": rows_in_all,
        "bytes": summary.get("total_bytes_processed"),
        "bytes_added": summary.get("data_added"),
    }


def _has_data(manifest: Manifest, folders: list[Path]) -> bool:
    """Whether there is something to back up.

    A new machine's first deploy would make a backup of an empty host, and that would be the newest when the old data
    are to be restored.
    """
    rows = [manifest.tables or {}, *(each for databases in manifest.sqlite.values() for each in databases.values())]
    return any(map(contents.filled, rows)) or any(map(contents.files, folders))


def _below_root(staging: Path, folder: Path) -> Path:
    """Where the copies of a folder's databases go: the folders above belong to root, and may be passed."""
    target = below(staging / COPIES, folder)
    target.parent.mkdir(parents=True, exist_ok=True)
    for parent in target.parents:
        if parent == staging:
            break
        parent.chmod(0o711)
    return target


def run(kind: str) -> None:
    """Make a backup, and record how it went.

    Raises:
        BackupError: there is none.
    """
    with report.locked():
        with report.recorded(report.BACKUP, kind=kind) as made:
            settings = Settings.load()
            repository = Repository(settings, patient=kind in {NIGHTLY, BASE})
            made |= create(settings, repository, kind)
            if report.BACKUP in settings.schedules:
                made["due"] = schedule.due(settings.schedules[report.BACKUP])
        if made["state"] == "empty":
            print("nothing to back up yet: the app has no data")
            return
        print(f"snapshot {made['snapshot']}: {made['rows']} rows in {made['tables']} tables", flush=True)
        if settings.wal and kind in {NIGHTLY, BASE}:
            with _warned(made, "there is no base backup for the WAL"):
                wal.make_base(repository)
        if kind == NIGHTLY:
            with _warned(made, "old snapshots were not removed"):
                if settings.wal:
                    wal.forget(repository)
                repository.forget()


@contextmanager
def _warned(made: dict[str, Any], problem: str) -> Iterator[None]:
    """Record a failure after the backup: the backup is there, and the unit is to fail all the same.

    Raises:
        BackupError: it failed.
    """
    try:
        yield
    except BackupError as error:
        report.write(report.BACKUP, made | {"warning": f"{problem}: {error}"})
        raise
