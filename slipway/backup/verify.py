"""Restore the newest backup into scratch databases, as restore-test.service does every week."""

from typing import Any

from slipway.backup import postgresql, recovery, report, schedule
from slipway.backup.restic import Repository, Snapshot
from slipway.backup.settings import Settings
from slipway.backup.staging import (
    SCRATCH,
    STAGING,
    Manifest,
    below,
    emptied,
    expected_bytes,
    require_room,
    restore_databases,
)


def verify(settings: Settings, repository: Repository) -> dict[str, Any]:
    """Verify the repository, restore the databases of the newest snapshot, and compare their rows with the backup's.

    Raises:
        BackupError: they do not come back as they were.
    """
    if report.found()["backup"]["state"] == "empty":
        return {"state": "empty"}
    repository.unlock()
    snapshot = repository.latest()
    repository.check()
    # The dump, and PostgreSQL's database made of it.
    require_room(2 * expected_bytes(settings))
    with emptied(SCRATCH, 0o711) as scratch:
        repository.restore(snapshot, scratch, STAGING)
        restored = below(scratch, STAGING)
        manifest = Manifest.load(restored)
        try:
            restore_databases(restored, manifest)
        finally:
            if settings.postgresql:
                postgresql.drop()
    tables, rows = manifest.counts
    found = {"snapshot": snapshot.short, "snapshot_at": manifest.at, "tables": tables, "rows": rows}
    return found | (_verify_wal(repository, snapshot) if settings.wal else {})


def _verify_wal(repository: Repository, snapshot: Snapshot) -> dict[str, Any]:
    """Replay the WAL. Returns how many rows that gives: those of the app are other ones by now.

    Raises:
        BackupError: it cannot be replayed.
    """
    if not (base := recovery.choose(repository, snapshot.machine, None)):
        return {}
    require_room(recovery.size(repository, base))
    with emptied(SCRATCH, 0o711) as scratch, recovery.recovered(repository, base, scratch) as server:
        return {"wal_rows": sum(postgresql.rows(server.database).values()), "wal_until": server.last}


def run() -> None:
    """Test the newest backup, and record how it went.

    Raises:
        BackupError: it cannot be restored.
    """
    with report.locked():
        with report.recorded(report.TEST) as found:
            settings = Settings.load()
            found |= verify(settings, Repository(settings, patient=True))
            if report.TEST in settings.schedules:
                found["due"] = schedule.due(settings.schedules[report.TEST])
        if found["state"] == "empty":
            print("nothing to restore yet: the app has no data")
            return
        print(f"snapshot {found['snapshot']}: {found['rows']} rows in {found['tables']} tables came back")
