"""Bring the data of a snapshot back onto this host: `slipway restore` runs it, as root."""

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace as changed
from datetime import UTC, datetime
from pathlib import Path

from slipway.backup import contents, postgresql, recovery, report
from slipway.backup.postgresql import lsn
from slipway.backup.process import run as call
from slipway.backup.restic import Repository, Snapshot, machine
from slipway.backup.settings import STATE, BackupError, Settings
from slipway.backup.sqlite import databases
from slipway.backup.staging import (
    APP,
    COPIES,
    DUMP,
    SCRATCH,
    STAGING,
    Manifest,
    below,
    count_sqlite,
    emptied,
    require_room,
    restore_databases,
)
from slipway.engine.durable import sync_file_systems, write_atomically
from slipway.engine.releases import now

RESTORED = STATE / "restored.json"
"""There once this machine has the data of a snapshot: from then on its own newest one is the newest."""
CURRENT = Path("/srv/app/current")
SEALED = Path("/srv/app/sealed")
RELEASE = re.compile(r"[0-9]{8}T[0-9]{6}-[0-9a-f]{7}")
UNITS = ("app@*", "app-*@*", "job-*.timer", "job-*.service", "run@*")


def run(name: str = "", at: str = "", *, replace: bool = False, migrate: bool = False, if_any: bool = False) -> None:
    """Restore a snapshot, and print what came back and what is lost.

    What was there is kept aside. The app stands still only while the two change places.

    Args:
        name: the beginning of the snapshot's id, without the WAL that follows it; empty for the newest with all WAL.
        at: PostgreSQL as it was at this moment, in ISO 8601, UTC if it names no zone; empty for the last.
        replace: also where there are data.
        migrate: run the live release's migrations before it starts.
        if_any: on a host without data of its own: no snapshot is no failure.

    Raises:
        BackupError: it failed, or there are data and they are not to be replaced.
    """
    settings = Settings.load()
    moment = parse_moment(at) if at else None
    if moment and name:
        raise BackupError("--at and --snapshot exclude each other: --snapshot restores a backup as it is")
    if moment and settings.postgresql and not settings.wal:
        raise BackupError("--at needs WAL, and backup_wal_seconds is 0 here. A backup without it: --snapshot ID")
    repository = Repository(settings)
    if if_any and not repository.snapshots():
        print("no backup is of this host: nothing to restore", flush=True)
        if migrate:
            run_migrations()
        return
    with report.locked():
        repository.unlock()
        snapshot = repository.until(moment) if moment else repository.latest(name)
        base = recovery.choose(repository, snapshot.machine, moment) if settings.wal and not name else None
        if moment and settings.wal and not base:
            raise BackupError(f"there is no base backup from before {moment.isoformat()}. Backups: --snapshot ID")
        if not name and not moment and not RESTORED.exists():
            _require_one_machine(repository.snapshots())
        if (found := present(settings)) and not replace:
            raise BackupError(
                f"this host has data: {'; '.join(found)}. The snapshot {snapshot.short} of {snapshot.at.isoformat()} "
                "would take their place (they are kept aside). If that is meant: --replace"
            )
        size = repository.size(snapshot)
        size += recovery.size(repository, base) if base else 0
        require_room(size + (size if settings.postgresql else 0))
        with emptied(SCRATCH, 0o711) as scratch:
            print(f"restoring {snapshot.short} of {snapshot.at.isoformat()}, {size >> 20} MiB", flush=True)
            repository.restore(snapshot, scratch)
            manifest = Manifest.load(below(scratch, STAGING))
            until = ""
            if base:
                manifest, until = _with_wal(repository, base, scratch, manifest, moment)
            restore_databases(below(scratch, STAGING), manifest)
            kept = _exchange(settings, manifest, scratch, migrate=migrate)
        write_atomically(RESTORED, json.dumps({"at": now(), "snapshot": snapshot.id}))
    print("\n".join(_told(snapshot, manifest, kept, until)), flush=True)
    if settings.wal:
        # The newest backup is this machine's from now on, and WAL has what follows.
        call(["systemctl", "start", "--no-block", "backup@nightly.service"])


def parse_moment(text: str) -> datetime:
    """Read a moment of the past.

    Raises:
        BackupError: it is none.
    """
    try:
        at = datetime.fromisoformat(text)
        at = at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        at = datetime.max.replace(tzinfo=UTC)
    if at > datetime.now(UTC):
        raise BackupError(f"--at is `{text}`, and must be a moment of the past in UTC. As: --at 2026-11-29T14:05:30")
    return at


def _with_wal(
    repository: Repository, base: Snapshot, scratch: Path, manifest: Manifest, at: datetime | None
) -> tuple[Manifest, str]:
    """Dump PostgreSQL as the WAL has it in place of the snapshot's dump.

    Returns the manifest of that and when its last transaction was; those of the snapshot if the WAL ends before it.

    Raises:
        BackupError: the WAL cannot be replayed.
    """
    print(f"replaying the WAL since {base.at.isoformat()}", flush=True)
    with emptied(scratch / "wal", 0o711) as folder, recovery.recovered(repository, base, folder, at) as server:
        if not at and manifest.lsn and server.lsn < lsn(manifest.lsn):
            return manifest, ""
        dumped = postgresql.dump(below(scratch, STAGING) / DUMP, server.database)
    return changed(manifest, **dumped), server.last or base.at.isoformat()


def _require_one_machine(snapshots: list[Snapshot]) -> None:
    """Do not take what a new machine has so far for the data of the one before.

    Raises:
        BackupError: the newest snapshot is this machine's, and there are some of another one.
    """
    own, before = snapshots[-1], [each for each in snapshots if each.machine not in {machine(), ""}]
    if before and own.machine == machine():
        raise BackupError(
            f"the newest snapshot, {own.short} of {own.at.isoformat()}, is of this new machine; that of the machine "
            f"before is {before[-1].short} of {before[-1].at.isoformat()}. Name one: --snapshot {before[-1].short}"
        )


def present(settings: Settings) -> list[str]:
    """Name the data that are on this host, in words."""
    found = []
    if settings.postgresql and (named := contents.shown(postgresql.rows())):
        found.append(f"PostgreSQL has {named}")
    for folder in filter(Path.is_dir, settings.folders):
        known = databases(folder)
        for name, rows in count_sqlite(folder).items() if known else ():
            if named := contents.shown(rows):
                found.append(f"{folder / name} has {named}")
        if others := contents.files(folder, known):
            found.append(f"{folder} has {len(others)} files, as {others[0].relative_to(folder)}")
    return found


def _exchange(settings: Settings, manifest: Manifest, scratch: Path, *, migrate: bool) -> list[str]:
    """Exchange the host's data for the restored data. Returns where the host's data were moved."""
    stamp = datetime.now(UTC).strftime("%Y%m%dt%H%M%S")
    kept = []
    folders = [folder for folder in settings.folders if below(scratch, folder).is_dir()]
    for folder in folders:
        _prepare(folder, manifest, scratch)
    # restic syncs nothing that it restores, and a power cut must not leave its names without their contents.
    sync_file_systems(scratch)
    # A connection that is lost now must not leave half of it.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with _app_stopped(settings):
        if manifest.tables is not None and settings.postgresql:
            postgresql.exchange(f"app_before_{stamp}")
            kept.append(f"database app_before_{stamp}")
        for folder in folders:
            aside = below(STATE / f"before-{stamp}", folder)
            aside.mkdir(parents=True, mode=0o700)
            _move(folder, aside)
            _move(below(scratch, folder), folder)
            kept.append(str(aside))
        sync_file_systems(STATE, *folders)
        if migrate:
            _migrate()
    return kept


def _prepare(folder: Path, manifest: Manifest, scratch: Path) -> None:
    """Give a restored folder to the app's user of this machine, and put its databases into it."""
    restored = below(scratch, folder)
    if manifest.owner:
        # What was not the app's stays root's: on the old host, a link may have led a backup elsewhere.
        owner = "{}:{}".format(*manifest.owner)
        call(["chown", "--recursive", "--no-dereference", f"--from={owner}", f"{APP}:{APP}", restored])
    copies = below(below(scratch, STAGING) / COPIES, folder)
    for database in manifest.sqlite.get(str(folder), {}):
        target = restored / database
        # The app may have exchanged a folder for a link after its database was copied.
        if not target.parent.is_dir() or not target.parent.resolve().is_relative_to(restored.resolve()):
            raise BackupError(f"the snapshot has no folder for {folder / database}: choose another by --snapshot")
        call(["mv", "--no-target-directory", copies / database, target])


def _move(source: Path, target: Path) -> None:
    """Move all that is in a folder into another one. mv keeps owners across disks."""
    if entries := list(source.iterdir()):
        call(["mv", f"--target-directory={target}", "--", *entries])


@contextmanager
def _app_stopped(settings: Settings) -> Iterator[None]:
    """Stop the app of this host for a moment. Its live release starts again however that ends.

    Raises:
        BackupError: a deploy runs.
    """
    if not settings.folders:  # a data host of its own
        yield
        return
    if running := _units("deploy@*", "--state=active,activating,deactivating"):
        raise BackupError(f"a deploy runs ({running[0]}): wait for its end, then repeat this")
    timers = _units("job-*.timer", "--state=active")
    call(["systemctl", "stop", *UNITS])
    try:
        yield
    finally:
        call(["systemctl", "start", "recover.service", *timers])


def _units(pattern: str, *options: str) -> list[str]:
    listed = call(["systemctl", "list-units", "--plain", "--no-legend", "--full", *options, pattern])
    return [line.split()[0] for line in listed.splitlines() if line.strip()]


def run_migrations() -> None:
    """Run the live release's migrations, after the data of another host came back.

    Raises:
        BackupError: they failed, or a deploy runs.
    """
    with _app_stopped(Settings.load()):
        _migrate()


def _migrate() -> None:
    """Run the live release's migrations: the snapshot may be older than they are.

    Raises:
        BackupError: they failed.
    """
    release = CURRENT.readlink().name if CURRENT.is_symlink() else ""
    if not RELEASE.fullmatch(release) or not (SEALED / release / ".slipway/release").is_file():
        return
    unit = f"migrate@{release}.service"
    if subprocess.run(["systemctl", "start", unit], check=False).returncode:
        raise BackupError(
            f"the data are back, and the migrations of {release} failed: journalctl --namespace=+app -u {unit}. Is the "
            "snapshot newer than the release? Then deploy the newer code"
        )


def _told(snapshot: Snapshot, manifest: Manifest, kept: list[str], until: str) -> list[str]:
    tables, rows = manifest.counts
    seconds = int((datetime.now(UTC) - datetime.fromisoformat(manifest.at)).total_seconds())
    since = f"since then ({seconds // 3600} h {seconds % 3600 // 60} min)"
    return [
        f"restored {snapshot.short} ({snapshot.kind}) of {manifest.at}: {rows} rows in {tables} tables",
        *([f"PostgreSQL is as after its last archived transaction, of {until} UTC"] if until else []),
        f"lost: what was written {'to files ' * bool(until)}{since}, and the broker's tasks",
        *(f"kept aside: {each}" for each in kept),
    ]
