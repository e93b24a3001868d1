"""What is wrong with any host: with its units, its backups, its disks and its system."""

from collections.abc import Iterable, Iterator
from typing import Any

from slipway.alerts.alert import Alert
from slipway.alerts.facts import Facts
from slipway.backup import report as backups
from slipway.engine.crashes import Crashes

BACKUPS = {"backup": ("'backup@*'", "create"), "restore_test": ("restore-test", "verify"), "wal": ("backup@wal", "wal")}
"""The unit of each, and the command that does the same."""
MEMORY_PERCENT = 20
"""Of the last five minutes, in which all processes waited for memory (Linux' pressure stall information)."""


def of_system(facts: Facts) -> list[Alert]:
    """List what is wrong by what the system says of itself."""
    return [
        *_units(facts.failed_units),
        *_crashes(facts.crashes),
        *_disks(facts.low_disks),
        *_pressure(facts),
    ]


def of_backups(values: dict[str, Any] | None) -> Iterator[Alert]:
    """Yield what is wrong with backups, by their record. It has the cause: systemd forgets backup@.service soon.

    Args:
        values: of `slipway.backup.report.found`; None for a host without backups.
    """
    if values is None:
        return
    for name, words in backups.problems(values).items():
        unit, command = BACKUPS[name]
        what = {"interrupted": "was interrupted", "old": "is too old", "ok": "did not end well"}
        called = {"restore_test": "restore test", "wal": "archiving of WAL"}.get(name, name)
        title = f"the {called} {what.get(values[name]['state'], 'failed')}"
        advice = f"journalctl -u {unit} -n 50; then sudo /usr/local/lib/slipway/backup {command}"
        yield Alert(f"backup:{name}", title, words, advice)


def _units(units: Iterable[str]) -> Iterator[Alert]:
    for unit in units:
        advice = f"journalctl -u {unit} -n 50; then systemctl restart {unit}, or systemctl reset-failed {unit}"
        yield Alert(f"unit:{unit}", f"{unit} failed", next=advice)


def _crashes(crashes: dict[str, Crashes]) -> Iterator[Alert]:
    for unit, each in crashes.items():
        advice = f"journalctl --namespace=+app -u {unit} -n 50"
        if each.kills:
            detail = f"the kernel killed {each.kills} processes of it in the last hour"
            yield Alert(f"oom:{unit}", f"{unit} had too little memory", detail, advice)
        elif each.loop:
            detail = f"{each.restarts} times in the last hour" + (f", last by {each.ending}" if each.ending else "")
            yield Alert(f"restarts:{unit}", f"{unit} crashes again and again", detail, advice)


def _disks(disks: dict[str, str]) -> Iterator[Alert]:
    for path, detail in disks.items():
        advice = f"sudo du -xh {path} | sort -h | tail -n 30"
        yield Alert(f"disk:{path}", f"the disk of {path} is nearly full", detail, advice)


def _pressure(facts: Facts) -> Iterator[Alert]:
    if facts.memory_percent >= MEMORY_PERCENT:
        detail = f"all processes waited for memory {facts.memory_percent:.0f} % of the last five minutes"
        yield Alert("memory", "the host has too little memory", detail, "systemctl status; top -o %MEM")
    if facts.reboot is not None:
        yield Alert("reboot", "a reboot is pending", facts.reboot, "systemctl reboot, when few use the site")
    if not facts.clock_synchronised:
        yield Alert("clock", "the clock is not synchronised", "", "timedatectl timesync-status")
