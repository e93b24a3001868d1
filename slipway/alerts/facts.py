"""What the system says of itself, beside what `slipway status` knows."""

import os
import re
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from slipway.alerts import others
from slipway.alerts.alert import Alert
from slipway.alerts.certificate import expiring
from slipway.alerts.settings import Settings
from slipway.engine import audit, room
from slipway.engine.crashes import LOOP_SECONDS, Crashes
from slipway.engine.host import Host
from slipway.model.errors import SlipwayError

NOT_TOLD = re.compile(r"(alerts|deploy@.*|migrate@.*|backup@.*|restore-test)[.]service")
"""The alerts' own unit, and those whose failure the audit or the record of backups tells, with its cause."""
PRESSURE = Path("/proc/pressure/memory")
REBOOT = Path("/run/reboot-required")
"""Written by the packages of Debian and Ubuntu that need one."""
TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class Facts:
    """Of one moment."""

    history: list[dict[str, Any]] = field(default_factory=list)
    """The last entries of the audit, oldest first."""
    failed_units: list[str] = field(default_factory=list)
    crashes: dict[str, Crashes] = field(default_factory=dict)
    """Units that crashed in the last hour."""
    low_disks: dict[str, str] = field(default_factory=dict)
    """Folders whose disk is nearly full, with what is left."""
    memory_percent: float = 0
    reboot: str | None = None
    """The packages that need a reboot, None if none does."""
    clock_synchronised: bool = True
    certificate: Alert | None = None
    """The end of a certificate that nobody renews here."""
    silent_hosts: dict[str, str] = field(default_factory=dict)
    """Other app hosts that do not answer, with what happens instead."""


def read(host: Host, settings: Settings) -> Facts:
    """Read all of them."""
    now, https_port = time.time(), settings.https_port
    return Facts(
        history=audit.last(host, 200),
        failed_units=failed_units(_run("systemctl", "list-units", "--failed", "--plain", "--no-legend", "--full")),
        crashes=host.systemd.all_crashes(now - LOOP_SECONDS),
        low_disks=room.low(host.written),
        memory_percent=memory_percent(_text(PRESSURE)),
        reboot=_text(REBOOT.with_name(f"{REBOOT.name}.pkgs")).replace("\n", " ") if REBOOT.exists() else None,
        clock_synchronised=_run("timedatectl", "show", "--property=NTPSynchronized", "--value").strip() != "no",
        certificate=expiring(https_port, host.site.probe_host, now) if https_port else None,
        silent_hosts=others.silent(host.front, host.site, settings.others),
    )


def failed_units(listed: str) -> list[str]:
    """Read `systemctl list-units --failed`, without what another alert tells."""
    return [unit for line in listed.splitlines() if (unit := line.split(" ")[0]) and not NOT_TOLD.fullmatch(unit)]


def memory_percent(pressure: str) -> float:
    """Read avg300 of the line `full` of /proc/pressure/memory; 0 where the kernel has none."""
    for line in pressure.splitlines():
        kind, *values = line.split()
        if kind == "full":
            return float(dict(each.split("=") for each in values).get("avg300", 0))
    return 0.0


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


def _run(*command: str) -> str:
    """Return what a command prints.

    Raises:
        SlipwayError: it fails: silence would mean that nothing is wrong.
    """
    environment = os.environ | {"LC_ALL": "C"}
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise SlipwayError(f"`{command[0]}` was not done within {TIMEOUT_SECONDS} s") from None
    if done.returncode:
        raise SlipwayError(f"`{' '.join(command)}`: {done.stderr.strip()}")
    return done.stdout
