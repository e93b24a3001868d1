"""The status of a data host, for people and for programs. It tells nothing that needs root's rights."""

import platform
from dataclasses import asdict
from typing import Any

from slipway import __version__
from slipway.alerts import checks, facts
from slipway.alerts.alert import Alert
from slipway.backup import report as backups
from slipway.data_host.host import DataHost
from slipway.engine import room
from slipway.model import owner
from slipway.model.errors import SlipwayError


def status(host: DataHost) -> dict[str, Any]:
    """The status as one JSON document."""
    services = host.services()
    return {
        "version": __version__,
        "host": host.name,
        "site": owner.load(host.owner),
        "system": platform.freedesktop_os_release().get("PRETTY_NAME", ""),
        "state": "healthy" if set(services.values()) <= {"active"} else "unhealthy",
        "services": services,
        "problems": [asdict(each) for each in _problems(host)],
        "disk": room.free(host.data),
        "backup": backups.found(host.backups) if host.settings.backup else None,
    }


def _problems(host: DataHost) -> list[Alert]:
    """What the system says. Crashes are missing where the login may not read the journal."""
    try:
        return checks.of_system(facts.read(host.systemd, host.written))
    except (SlipwayError, OSError) as error:
        return [Alert("status", "the system's state cannot be read", str(error), "systemctl status")]


def text(values: dict[str, Any]) -> str:
    """The status for people."""
    lines = [f"{values['host']}: {values['state']}"]
    if site := values["site"]:
        lines.append(f"  data      {site.get('project') or 'no project'}, {site.get('environment')}")
    lines.append("  services  " + ", ".join(f"{unit} {state}" for unit, state in values["services"].items()))
    lines += [f"  problem   {': '.join(filter(None, (each['title'], each['detail'])))}" for each in values["problems"]]
    lines.append(f"  disk      {values['disk']['free_bytes'] >> 20} MiB free")
    lines += [f"  backup    {line}" for line in (backups.words(values["backup"]) if values["backup"] else ["none"])]
    return "\n".join([*lines, f"  slipway   {values['version']}"])
