"""PostgreSQL as it was at a moment: a base backup and the WAL that follows it, replayed in a server of its own."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from slipway.backup import wal
from slipway.backup.postgresql import USER, lsn, query
from slipway.backup.process import run
from slipway.backup.restic import Repository, Snapshot
from slipway.backup.settings import DATABASE, BackupError
from slipway.backup.staging import below

PROGRAMS = Path("/usr/lib/postgresql")
POLL_SECONDS = 0.5
START_SECONDS = 600
"""For a large cluster on a slow disk; the WAL is replayed later."""
_TOO_SHORT = "recovery ended before configured recovery target was reached"
_REPLAYED = re.compile(r"redo done at ([0-9A-F]+/[0-9A-F]+)")
_LAST = re.compile(r"last completed transaction was at log time (\S+ [\d:]+)")

# fsync: what is lost by a power cut is restored again. The server's port is part of its socket's name alone.
CONFIGURATION = """# Managed by Slipway.
listen_addresses = ''
unix_socket_directories = '{folder}'
port = 5432
fsync = off
hot_standby = off
archive_mode = off
log_timezone = 'UTC'
logging_collector = off
restore_command = 'gzip --decompress --stdout {folder}/segments/%f.gz >%p'
recovery_target_action = 'promote'
"""
ACCESS = "local all postgres peer\n"


@dataclass(frozen=True)
class Recovered:
    """A server with the cluster as it was."""

    database: str
    """How psql and pg_dump connect to the app's database."""
    lsn: int
    """Where the WAL that was replayed ends."""
    last: str
    """When the last transaction that came back was committed, in UTC; empty: none since the base backup."""


def choose(repository: Repository, machine: str, at: datetime | None) -> Snapshot | None:
    """Return the newest base backup of a machine before a moment, or the newest of all; None: there is none."""
    found = [each for each in repository.snapshots(wal.BASE_TAG) if each.machine == machine]
    return next((each for each in reversed(found) if at is None or each.at <= at), None)


def size(repository: Repository, base: Snapshot) -> int:
    """Return the bytes that the cluster and its WAL take: WAL is decompressed a file at a time."""
    after = wal.last_of(repository, base)
    return repository.size(base) + (repository.size(after) if after else 0)


@contextmanager
def recovered(repository: Repository, base: Snapshot, scratch: Path, at: datetime | None = None) -> Iterator[Recovered]:
    """Replay WAL in a server of its own, which runs until the end of the context.

    Args:
        repository: of this host.
        base: the base backup.
        scratch: an empty folder that the user postgres may pass.
        at: replay until then; None: all.

    Raises:
        BackupError: it cannot be replayed.
    """
    folder = scratch / "server"
    _restore(repository, base, scratch, folder)
    data = folder / "data"
    programs = _programs(data)
    control: list[str | Path] = [programs / "pg_ctl", f"--pgdata={data}", "--silent"]
    try:
        log = _start(folder, control, at)
        if not (replayed := _REPLAYED.search(log)):
            raise BackupError(f"PostgreSQL replayed nothing: {_errors(log)}")
        last = _LAST.findall(log)
        yield Recovered(f"host={folder} dbname={DATABASE}", lsn(replayed[1]), last[-1] if last else "")
    finally:
        with suppress(BackupError):  # it may have ended
            run([*control, "--mode=immediate", "stop"], USER)


def _restore(repository: Repository, base: Snapshot, scratch: Path, folder: Path) -> None:
    restored = scratch / "restored"
    folder.mkdir(mode=0o700)
    repository.restore(base, restored, wal.BASE)
    run(["mv", below(restored, wal.BASE) / "data", folder])
    if after := wal.last_of(repository, base):
        repository.restore(after, restored, wal.SEGMENTS)
        run(["mv", below(restored, wal.SEGMENTS), folder / "segments"])
    # Its number was another one on another machine.
    run(["chown", "--recursive", "--no-dereference", f"{USER}:{USER}", folder])


def _programs(data: Path) -> Path:
    version = (data / "PG_VERSION").read_text().strip()
    programs = PROGRAMS / version / "bin"
    if not programs.is_dir():
        installed = ", ".join(path.name for path in PROGRAMS.glob("*")) or "none"
        raise BackupError(
            f"WAL of PostgreSQL {version} can be replayed by that version alone, and this host has {installed}. "
            "Provision a host with the distribution of before, or restore the last backup without WAL: --snapshot ID"
        )
    return programs


def _start(folder: Path, control: list[str | Path], at: datetime | None) -> str:
    """Start the server, and return its log once the WAL is replayed."""
    log = _replay(folder, control, f"recovery_target_time = '{at.isoformat()}'\n" if at else "")
    if at and _TOO_SHORT in log:
        # Nothing was committed after that moment, so replay all.
        log = _replay(folder, control, "")
    return log


def _replay(folder: Path, control: list[str | Path], target: str) -> str:
    data, log = folder / "data", folder / "log"
    # It comes last, so it wins; what the old host had in postgresql.auto.conf goes.
    _write(data / "postgresql.conf", "")
    _write(data / "postgresql.auto.conf", CONFIGURATION.format(folder=folder) + target)
    _write(data / "pg_hba.conf", ACCESS)
    _write(data / "pg_ident.conf", "")
    _write(data / "recovery.signal", "")
    log.unlink(missing_ok=True)
    try:
        # It waits for the beginning of recovery alone.
        run([*control, f"--log={log}", "--wait", f"--timeout={START_SECONDS}", "start"], USER)
        while not _accepts(folder):
            time.sleep(POLL_SECONDS)
            run([*control, "status"], USER)
    except BackupError:
        text = log.read_text(errors="replace")
        if not (target and _TOO_SHORT in text):
            raise BackupError(f"PostgreSQL cannot replay the WAL: {_errors(text)}") from None
    return log.read_text(errors="replace")


def _write(path: Path, text: str) -> None:
    path.write_text(text)
    run(["chown", f"{USER}:{USER}", path])


def _accepts(folder: Path) -> bool:
    try:
        query("SELECT 1", f"host={folder} dbname=postgres")
    except BackupError:
        return False
    return True


def _errors(log: str) -> str:
    lines = [line for line in log.splitlines() if any(word in line for word in ("FATAL", "PANIC", "ERROR", "HINT"))]
    return "; ".join(lines[-3:] or log.splitlines()[-3:])
