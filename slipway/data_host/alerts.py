"""What is wrong with a data host, for the alerts."""

from collections.abc import Iterator

from slipway.alerts import checks, facts
from slipway.alerts.alert import Alert
from slipway.backup import report as backups
from slipway.data_host.host import DataHost

RUNS_OR_FAILED = {"active", "activating", "deactivating", "reloading", "failed"}
"""A unit that failed is told with all others that did."""


def found(host: DataHost) -> list[Alert]:
    """List what is wrong."""
    return [
        *_services(host.services()),
        *checks.of_backups(backups.found(host.backups) if host.settings.backup else None),
        *checks.of_system(facts.read(host.systemd, host.written)),
    ]


def _services(services: dict[str, str]) -> Iterator[Alert]:
    for unit, state in services.items():
        if state not in RUNS_OR_FAILED:
            advice = f"systemctl start {unit}; journalctl -u {unit} -n 50"
            yield Alert(f"service:{unit}", f"{unit} does not run", f"systemd says {state}", advice)
