"""How the last backup and the last restore test went: written as root, read by everybody (`slipway status`, alerts)."""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from slipway.engine.durable import write_even_if_full
from slipway.engine.releases import now
from slipway.model.errors import SlipwayError

FOLDER = Path("/var/lib/slipway-backup")
BACKUP, TEST, WAL = "backup", "restore-test", "wal"
LOCK, WAL_LOCK = "lock", "wal.lock"
"""Held by backups, tests and restores; by what copies WAL, which goes on meanwhile."""
OLD = {BACKUP: timedelta(days=2), TEST: timedelta(days=9), WAL: timedelta(minutes=30)}
"""An older success is one too many nights, or a week, ago: the timer does not run."""
LATE = {BACKUP: timedelta(days=1), TEST: timedelta(days=2)}
"""So long after the next one was due, where that is known."""


@contextmanager
def locked(folder: Path = FOLDER, name: str = LOCK) -> Iterator[None]:
    """Hold a lock: of two at once the second waits. A process that dies leaves none behind.

    Who needs both takes LOCK first.
    """
    descriptor = os.open(folder / name, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        os.fchmod(descriptor, 0o644)  # whatever the umask is: `is_locked` is for everybody
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def is_locked(folder: Path, name: str = LOCK) -> bool:
    """Whether a backup, a test or a restore runs, or WAL is copied."""
    try:
        descriptor = os.open(folder / name, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


@contextmanager
def recorded(what: str, *, folder: Path = FOLDER, **about: Any) -> Iterator[dict[str, Any]]:
    """Record that something runs, then how it went. What is put into the result is recorded with it.

    Raises:
        Exception: it failed; that is recorded, with the cause.
    """
    result: dict[str, Any] = dict(about)
    began = time.monotonic()
    before = _read(folder / f"{what}.json")
    # Of the one before: what failed has not ended because it is tried again.
    failing = {"failing": True} if before.get("failing") or before.get("state") in {"failed", "running"} else {}
    write(what, about | {"state": "running", "at": now()} | failing, folder)
    try:
        yield result
    except Exception as error:
        # Whatever it is: a run that failed is not to look like one that was killed.
        cause = str(error) if isinstance(error, SlipwayError | OSError) else f"{type(error).__name__}: {error}"
        write(what, about | {"state": "failed", "at": now(), "cause": cause}, folder)
        raise
    result |= {"state": result.get("state", "ok"), "at": now(), "seconds": round(time.monotonic() - began, 1)}
    write(what, result, folder)


def write(what: str, values: dict[str, Any], folder: Path = FOLDER) -> None:
    """Record a result with what is known of the last success, on a full disk too."""
    path = folder / f"{what}.json"
    kept = values if values["state"] == "ok" else _read(path).get("last")
    write_even_if_full(path, json.dumps({**values, "last": kept}), 0o644)


def found(folder: Path = FOLDER) -> dict[str, Any]:
    """Return the state of backups, of restore tests and, where it is archived, of WAL as one document.

    `state` of each is `ok`, `empty` (the app has no data yet), `failed` (with `cause`), `running`, `interrupted`, `old`
    or `never`; `last` is the last success.
    """
    running = {BACKUP: is_locked(folder), WAL: is_locked(folder, WAL_LOCK)}
    running[TEST] = running[BACKUP]
    records = {what: _read(folder / f"{what}.json") for what in OLD}
    return {
        what.replace("-", "_"): _state(record, what, running[what])
        for what, record in records.items()
        if record or what != WAL
    }


def words(values: dict[str, Any]) -> list[str]:
    """The same for people: a line for each."""
    backup, test = values["backup"], values["restore_test"]
    lines = [_line(backup, _backed_up(backup.get("last")))]
    lines.append(f"restore test: {_line(test, _tested(test.get('last')))}")
    if wal := values.get("wal"):
        lines.append(f"WAL: {_line(wal, _archived(wal.get('last')))}")
    return lines


def problems(values: dict[str, Any]) -> dict[str, str]:
    """What somebody must look at, by what failed, each in words; nothing where all is well, or nothing has run yet."""
    bad = {"failed", "interrupted", "old"}
    lines = dict(zip(values, words(values), strict=True))
    return {
        name: lines[name]
        for name, each in values.items()
        if each["state"] in bad or each.get("failing") or each.get("warning")
    }


def _line(values: dict[str, Any], last: str) -> str:
    state = values["state"]
    if state == "ok":
        note = f"; {values['warning']}" if values.get("warning") else ""
        return last + note
    if state == "never":
        return "none yet"
    if state == "empty":
        return f"none at {values['at']}: the app has no data; before: {last}"
    if state == "running":
        return f"runs since {values['at']}; before: {last}"
    if state == "old":
        return f"the last is too old (systemctl list-timers): {last}"
    cause = f": {values['cause']}" if values.get("cause") else ": it was stopped or the host went down"
    return f"{state} at {values['at']}{cause}; last success: {last}"


def _backed_up(last: dict[str, Any] | None) -> str:
    if not last:
        return "none"
    return f"{last['at']} ({last['kind']}), snapshot {last['snapshot']}, {last['rows']} rows in {last['tables']} tables"


def _tested(last: dict[str, Any] | None) -> str:
    if not last:
        return "none"
    counted = f"{last['rows']} rows in {last['tables']} tables came back"
    if "wal_rows" in last:
        counted += f", {last['wal_rows']} rows by the WAL until {last['wal_until'] or 'its base backup'}"
    return f"{last['at']}, snapshot {last['snapshot']} of {last['snapshot_at']}: {counted}"


def _archived(last: dict[str, Any] | None) -> str:
    if not last:
        return "none"
    return f"all in the repository at {last['at']}, after the base backup {last['base']}"


def _read(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def _state(values: dict[str, Any], what: str, running: bool) -> dict[str, Any]:
    if values.get("state") not in {"ok", "empty", "failed", "running"} or not isinstance(values.get("at"), str):
        return {"state": "never", "last": None}
    if values["state"] == "running" and not running:
        return {**values, "state": "interrupted"}
    try:
        due = values.get("due")
        latest = datetime.fromisoformat(due) + LATE[what] if due else datetime.fromisoformat(values["at"]) + OLD[what]
        too_old = values["state"] == "ok" and datetime.now(UTC) > latest
    except (ValueError, KeyError, TypeError):
        return {"state": "never", "last": None}
    return {**values, "state": "old"} if too_old else values
