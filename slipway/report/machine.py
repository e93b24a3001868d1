"""What the machine has now, and what restarted on it."""

import os
from pathlib import Path
from typing import Any

from slipway.engine import instances, room
from slipway.engine.host import Host

MEMORY, STATISTICS = Path("/proc/meminfo"), Path("/proc/stat")


def memory(text: str) -> dict[str, int]:
    """Read /proc/meminfo: bytes in all and available, and the same of the swap."""
    values = {name: int(rest.split()[0]) << 10 for name, _, rest in (line.partition(":") for line in text.splitlines())}
    names = {"total": "MemTotal", "available": "MemAvailable", "swap_total": "SwapTotal", "swap_free": "SwapFree"}
    return {name: values.get(field, 0) for name, field in names.items()}


def units(host: Host) -> list[dict[str, Any]]:
    """Return what the units of the live release and nginx take: bytes now, at most, and allowed; None: not known."""
    live = host.releases.current()
    names = [*(instances.services(host, live) if live else []), "nginx.service"]
    return [{"unit": name} | host.systemd.memory(name) for name in names]


def disks(host: Host) -> list[dict[str, Any]]:
    """Return each disk that Slipway writes to: bytes in all and free, under the first path on it."""
    return [
        {"path": str(path), "total": usage.f_blocks * usage.f_frsize, "free": usage.f_bavail * usage.f_frsize}
        for path, usage in room.usages(host.written)
    ]


def restarts(host: Host, since: float) -> list[dict[str, Any]]:
    """Return what systemd started again and what the kernel killed for want of memory, and a boot; newest first."""
    found = host.systemd.crash_events(since)
    booted = _booted()
    if booted and booted >= since:
        found.append({"at": booted, "unit": os.uname().nodename, "what": "the host started"})
    return sorted(found, key=lambda event: -event["at"])


def _booted() -> float | None:
    try:
        lines = STATISTICS.read_text().splitlines()
    except OSError:
        return None
    return next((float(line.split()[1]) for line in lines if line.startswith("btime ")), None)
