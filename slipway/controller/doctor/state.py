"""Checks of what a host's engine told: drift, backups and certificates."""

from collections.abc import Iterator

from slipway.acme import report as certificates
from slipway.backup import report as backups
from slipway.controller.doctor.finding import Finding
from slipway.controller.doctor.way import Way
from slipway.engine import drift

BACKUP_COMMANDS = {"backup": "create", "restore_test": "verify", "wal": "wal"}


def checks(way: Way, environment: str) -> Iterator[Finding]:
    """Yield the findings. What an engine of an earlier version does not tell is left out."""
    status = way.status
    if status.get("drift"):
        yield _drift(way, environment)
    if "backup" in status:
        yield from _backups(way, environment)
    for each in status.get("certificates") or []:
        bad = certificates.is_bad(each)
        fix = "sudo systemctl start nginx-acme@now, on the host; journalctl -u 'nginx-acme@*' -n 50" if bad else ""
        yield way.place.verdict("certificate", certificates.words([each])[0], fix)


def _drift(way: Way, environment: str) -> Finding:
    values = way.status["drift"]
    lines = drift.words(values)
    found = lines[0] if len(lines) == 1 else f"{len(lines)} files, as: {lines[0]}"
    fixes = {
        "differs": f"slipway provision {environment} -- --check --diff, which shows what provisioning would change",
        "old": "journalctl -u drift.service, on the host",
    }
    return way.place.verdict("drift", found, fixes.get(values["state"], ""))


def _backups(way: Way, environment: str) -> Iterator[Finding]:
    values = way.status["backup"]
    if values is None:
        advice = f"backup_repository and backup_password, then slipway provision {environment}"
        yield way.place.ok("backup", "none: the inventory has no backup_repository", advice)
        return
    bad = backups.problems(values)
    for name, words in zip(values, backups.words(values), strict=True):
        command = f"sudo /usr/local/lib/slipway/backup {BACKUP_COMMANDS[name]}, on the host"
        found = words.removeprefix("restore test: ").removeprefix("WAL: ")
        yield way.place.verdict(name.replace("_", " "), found, command if name in bad else "")
