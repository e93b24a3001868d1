"""What is wrong with this host, by what `slipway status` says and by what its system says."""

from collections.abc import Iterable, Iterator
from typing import Any

from slipway.acme import report as certificates
from slipway.alerts.alert import Alert
from slipway.alerts.facts import Facts
from slipway.backup import report as backups
from slipway.engine import drift
from slipway.engine.crashes import Crashes
from slipway.model.states import STAYED, Kind

BACKUPS = {"backup": ("'backup@*'", "create"), "restore_test": ("restore-test", "verify"), "wal": ("backup@wal", "wal")}
"""The unit of each, and the command that does the same."""
MEMORY_PERCENT = 20
"""Of the last five minutes, in which all processes waited for memory (Linux' pressure stall information)."""


def found(status: dict[str, Any], facts: Facts) -> list[Alert]:
    """List what is wrong.

    Args:
        status: of `slipway.engine.status.status`.
        facts: of the system.
    """
    return [
        *_site(status),
        *_activation(facts.history),
        *_certificates(status["certificates"]),
        *([facts.certificate] if facts.certificate else []),
        *_units(facts.failed_units),
        *_backups(status["backup"]),
        *_crashes(facts.crashes),
        *_disks(facts.low_disks),
        *_drift(status["drift"]),
        *_others(facts.silent_hosts),
        *_system(facts),
    ]


def _site(status: dict[str, Any]) -> Iterator[Alert]:
    if not status["live"]:
        return
    advice = "slipway status, then slipway logs; slipway rollback if a deploy caused it"
    if status["problem"]:
        yield Alert("site", "the site does not work", status["problem"], advice)
    for name, state in status["processes"].items():
        if state not in {"active", "activating", "deactivating", "reloading"}:
            yield Alert(f"site:{name}", f"the process {name} does not run", f"systemd says {state}", advice)
    if status["state"] == "interrupted":
        yield Alert("site:interrupted", "an activation was interrupted", next="slipway recover")


def _activation(history: Iterable[dict[str, Any]]) -> Iterator[Alert]:
    """The last activation, if it failed: another one that works is its end."""
    last = next((each for each in reversed(list(history)) if each.get("what") in list(Kind)), None)
    if last is None or last.get("ended") in STAYED:
        return
    what, ended = last.get("what"), last.get("ended")
    yield Alert(
        "deploy",
        f"the {what} of {last.get('release')} by {last.get('by')} ended: {ended}",
        f"{last.get('cause') or 'no cause is recorded'}\n{last.get('live') or 'no release'} is live",
        "slipway status; slipway logs --release " + str(last.get("release")),
        mark=str(last.get("at")),
    )


def _certificates(values: list[dict[str, Any]]) -> Iterator[Alert]:
    for each in values:
        if certificates.is_bad(each):
            title = {"expired": "has expired", "expiring": "expires soon"}.get(each["state"], "is not renewed")
            words = certificates.words([each])[0]
            advice = "systemctl start nginx-acme@now; journalctl -u 'nginx-acme@*' -n 50"
            yield Alert(f"certificate:{each['name']}", f"the certificate of {each['name']} {title}", words, advice)


def _units(units: Iterable[str]) -> Iterator[Alert]:
    for unit in units:
        advice = f"journalctl -u {unit} -n 50; then systemctl restart {unit}, or systemctl reset-failed {unit}"
        yield Alert(f"unit:{unit}", f"{unit} failed", next=advice)


def _backups(values: dict[str, Any] | None) -> Iterator[Alert]:
    """By their record, which has the cause: systemd forgets backup@.service soon after it has failed."""
    if values is None:
        return
    for name, words in backups.problems(values).items():
        unit, command = BACKUPS[name]
        what = {"interrupted": "was interrupted", "old": "is too old", "ok": "did not end well"}
        called = {"restore_test": "restore test", "wal": "archiving of WAL"}.get(name, name)
        title = f"the {called} {what.get(values[name]['state'], 'failed')}"
        advice = f"journalctl -u {unit} -n 50; then sudo /usr/local/lib/slipway/backup {command}"
        yield Alert(f"backup:{name}", title, words, advice)


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


def _drift(values: dict[str, Any]) -> Iterator[Alert]:
    if values["state"] == "differs":
        advice = "slipway provision <environment> -- --check --diff"
        yield Alert("drift", "files differ from what was provisioned", "\n".join(drift.words(values)), advice)


def _others(hosts: dict[str, str]) -> Iterator[Alert]:
    for name, detail in hosts.items():
        advice = f"log in to {name}, or start it at your provider; slipway doctor <environment>"
        yield Alert(f"host:{name}", f"{name} does not answer", detail, advice)


def _system(facts: Facts) -> Iterator[Alert]:
    if facts.memory_percent >= MEMORY_PERCENT:
        detail = f"all processes waited for memory {facts.memory_percent:.0f} % of the last five minutes"
        yield Alert("memory", "the host has too little memory", detail, "systemctl status; top -o %MEM")
    if facts.reboot is not None:
        yield Alert("reboot", "a reboot is pending", facts.reboot, "systemctl reboot, when few use the site")
    if not facts.clock_synchronised:
        yield Alert("clock", "the clock is not synchronised", "", "timedatectl timesync-status")
