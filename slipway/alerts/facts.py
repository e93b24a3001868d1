"""What the system of any host says of itself."""

import os
import re
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from slipway.engine import room
from slipway.engine.crashes import LOOP_SECONDS, Crashes
from slipway.engine.systemd import Systemd
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

    failed_units: list[str] = field(default_factory=list)
    crashes: dict[str, Crashes] = field(default_factory=dict)
    """Units that crashed in the last hour."""
    low_disks: dict[str, str] = field(default_factory=dict)
    """Folders whose disk is nearly full, with what is left."""
    memory_percent: float = 0
    reboot: str | None = None
    """The packages that need a reboot, None if none does."""
    clock_synchronised: bool = True


def read(systemd: Systemd, folders: Iterable[Path]) -> Facts:
    """Read all of them. `folders` are those that are written to; each may be on a disk of its own."""
    return Facts(
        failed_units=failed_units(_run("systemctl", "list-units", "--failed", "--plain", "--no-legend", "--full")),
        crashes=systemd.all_crashes(time.time() - LOOP_SECONDS),
        low_disks=room.low(folders),
        memory_percent=memory_percent(_text(PRESSURE)),
        reboot=_text(REBOOT.with_name(f"{REBOOT.name}.pkgs")).replace("\n", " ") if REBOOT.exists() else None,
        clock_synchronised=_run("timedatectl", "show", "--property=NTPSynchronized", "--value").strip() != "no",
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
