"""What runs on this host, for people and for programs."""

import platform
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from slipway import PROTOCOL, audit, drift, identity, instances, lock
from slipway.client import activity
from slipway.host import Host
from slipway.probe import ask_socket
from slipway.releases import Record
from slipway.ship import architecture, disk


def status(host: Host) -> dict[str, Any]:
    """The host's status as one JSON document."""
    releases = host.releases
    live = releases.current()
    record = releases.known(live) if live else Record(release="")
    holder = activity(host)
    processes = _processes(host, live) if live else {}
    return {
        "protocol": PROTOCOL,
        "host": host.name,
        "system": platform.freedesktop_os_release().get("PRETTY_NAME", ""),
        "architecture": architecture(),
        "state": _state(host, live, holder, processes),
        "live": live,
        "processes": processes,
        "jobs": {name: _job(host, name) for name in host.config.jobs},
        "canary": releases.slice("canary"),
        "since": record.live_at,
        "by": record.request.get("by"),
        "commit": record.commit,
        "image": record.image,
        "image_name": record.image_name,
        "rollback_target": releases.rollback_target(),
        "secrets_changed": bool(live) and record.identity.get("secrets") != identity.secrets_hash(host.secrets_hash),
        "lock": holder,
        "history": audit.last(host),
        "releases": [asdict(each) for each in releases.all()],
        "disk": disk(releases),
        "drift": drift.found(host.drift_report),
        "config": host.config.as_dict(),
    }


def _processes(host: Host, live: str) -> dict[str, str]:
    """What the live release runs besides its web server, and how each is."""
    units = instances.processes(host, live) + instances.singles(host, live)
    return {instances.title(unit): host.systemd.state(unit).active for unit in units}


def _job(host: Host, name: str) -> dict[str, Any] | None:
    """How a job ended last on this host; None: it runs just now, or did not since the host started."""
    found = host.systemd.result(f"job-{name}.service")
    return {"result": found[0], "at": datetime.fromtimestamp(found[1], UTC).isoformat()} if found else None


def _state(host: Host, live: str | None, holder: dict[str, Any] | None, processes: dict[str, str]) -> str:
    if holder is None or holder.get("release") == lock.MENDS:
        if any(record.phase for record in host.releases.all()):
            return "interrupted"
    elif not holder["tidying"]:
        return "deploying"
    if live is None:
        return "empty"
    if any(host.releases.slice(name) != live for name in ("live", "canary")):
        return "mixed"
    answer = ask_socket(host.releases.socket(live), host.config.ready_path, host.config.probe_host)
    return "healthy" if answer.good and set(processes.values()) <= {"active"} else "unhealthy"


def text(values: dict[str, Any]) -> str:
    """The same for people."""
    lines = [f"{values['host']}: {values['state']}"]
    if values["live"]:
        lines.append(f"  live      {values['live']} since {values['since']}, by {values['by'] or 'unknown'}")
        lines.append(f"  commit    {values['commit'] or 'unknown'}")
        name = "" if values["image_name"].startswith("sha256:") else f" {values['image_name']}"
        lines.append(f"  image     {values['image'][:19]}{name}")
    if values["processes"]:
        lines.append("  processes " + ", ".join(f"{name} {state}" for name, state in values["processes"].items()))
    lines += [f"  job       {name}: {each['result']} at {each['at']}" for name, each in values["jobs"].items() if each]
    lines.append(f"  rollback  {values['rollback_target'] or 'nothing to go back to'}")
    if values["secrets_changed"]:
        lines.append("  secrets   changed since this release started; it uses today's from its next start on")
    if lock_ := values["lock"]:
        lines.append(f"  lock      {lock.words(lock_)}")
    lines.append(f"  disk      {values['disk']['free_bytes'] >> 20} MiB free")
    lines += [f"  drift     {line}" for line in drift.words(values["drift"])]
    for each in values["releases"]:
        mark = "*" if each["release"] == values["live"] else " "
        cause = f": {each['cause'].splitlines()[0]}" if each["state"] == "failed" and each["cause"] else ""
        lines.append(f"  {mark} {each['release']}  {each['state']}{cause}")
    lines += ["  history"] * bool(values["history"]) + [f"    {_entry(each)}" for each in values["history"]]
    return "\n".join(lines)


def _entry(entry: dict[str, Any]) -> str:
    """One line of the audit."""
    what = entry.get("release") or " ".join(entry.get("command") or [])
    ended = entry.get("ended", entry.get("exit_status"))
    seconds = f" in {entry['seconds']:.1f} s" if isinstance(entry.get("seconds"), int | float) else ""
    cause = f": {entry['cause']}" if entry.get("cause") else ""
    return f"{str(entry.get('at'))[:19]}  {entry.get('what')} {what} by {entry.get('by')}: {ended}{seconds}{cause}"
