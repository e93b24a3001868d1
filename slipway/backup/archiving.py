"""Copy WAL to the repository, as backup@wal.service does when PostgreSQL has archived some, and every five minutes."""

from datetime import UTC, datetime, timedelta

from slipway.backup import create, report, wal
from slipway.backup.restic import Repository
from slipway.backup.settings import Settings

AGAIN = timedelta(minutes=10)
"""After so long a base backup that failed is tried again."""


def run() -> None:
    """Copy new WAL, and make a base backup where one is needed.

    Raises:
        BackupError: something failed; systemd tries it again.
    """
    repository = _copy()
    if wal.needs_base(repository) and not _failed_lately():
        create.run(create.BASE)
        if wal.current(repository) is None:
            # Without data there is no base backup, and nothing that WAL would bring back.
            wal.clear()
        _copy()


def _copy() -> Repository:
    with report.locked(name=report.WAL_LOCK), report.recorded(report.WAL) as made:
        repository = Repository(Settings.load(), patient=True)
        wal.verify_archiving()
        if wal.DROPPED.exists():
            wal.start_over(repository)
        made["files"] = wal.ship(repository)
        if base := wal.current(repository):
            made["base"] = base[:8]
        else:
            made["state"] = "empty"
    return repository


def _failed_lately() -> bool:
    last = report.found()["backup"]
    failed = last["state"] == "failed" or last.get("warning")
    return bool(failed) and datetime.now(UTC) - datetime.fromisoformat(last["at"]) < AGAIN
