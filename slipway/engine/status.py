"""The status of this host, for people and for programs."""

import platform
import time
from datetime import UTC, datetime
from typing import Any

from slipway import __version__
from slipway.acme import report as certificates
from slipway.backup import report as backups
from slipway.engine import audit, drift, identity, instances, lock, maintenance, scale
from slipway.engine.client import is_tidying
from slipway.engine.crashes import LOOP_SECONDS, Crashes, memory_advice
from slipway.engine.host import Host
from slipway.engine.lock import Holder, Purpose
from slipway.engine.nginx import start_error
from slipway.engine.probe import get_from_socket
from slipway.engine.room import disk, full
from slipway.engine.ship import architecture
from slipway.model import PROTOCOL, owner
from slipway.model.record import Record
from slipway.model.states import ReleaseState


def status(host: Host) -> dict[str, Any]:
    """The host's status as one JSON document."""
    releases = host.releases
    live = releases.current()
    record = releases.known(live) if live else Record(release="")
    holder = lock.holder(host.lock_file)
    processes = _processes(host, live) if live else {}
    crashes = _crashes(host, record) if live else {}
    problems = [_full(host), _loop(host, live, crashes), _problem(host, live)] if live else []
    problem = "; ".join(filter(None, problems)) or None
    return {
        "version": __version__,
        "provisioned_version": host.site.version,
        "protocol": PROTOCOL,
        "host": host.name,
        "site": owner.load(host.owner),
        "system": platform.freedesktop_os_release().get("PRETTY_NAME", ""),
        "architecture": architecture(),
        "state": _state(host, live, holder, processes, problem),
        "problem": problem,
        "maintenance": maintenance.state(releases.root),
        "live": live,
        "scaled_workers": scale.workers(host, live) if live else None,
        "processes": processes,
        "crashes": {instances.display_name(unit): each.to_json() for unit, each in crashes.items()},
        "jobs": {name: _job(host, name) for name in host.site.jobs},
        "canary": releases.slice("canary"),
        "since": record.live_at,
        "by": record.by,
        "commit": record.commit,
        "image": record.image,
        "image_name": record.image_name,
        "port": record.port,
        "rollback_target": releases.rollback_target(),
        "secrets_changed": bool(live) and record.identity.get("secrets") != identity.secrets_hash(host.secrets_hash),
        "lock": holder and {**holder.to_json(), "tidying": is_tidying(host, holder)},
        "history": audit.last(host),
        "releases": _releases(host),
        "disk": disk(releases),
        "certificates": certificates.report(host.acme),
        "backup": backups.found(host.backups) if host.site.backup else None,
        "drift": drift.found(host.drift_report),
        "config": host.site.to_json(),
    }


def _releases(host: Host) -> list[dict[str, Any]]:
    """All releases, newest first. One whose units still run is retiring: it finishes its last answers."""
    running = instances.loaded(host)
    return [
        each.to_json()
        | ({"state": "retiring"} if each.state is ReleaseState.RETIRED and each.release in running else {})
        for each in host.releases.all()
    ]


def _processes(host: Host, live: str) -> dict[str, str]:
    """The processes of the live release besides its web server, and the state of each."""
    units = instances.processes(host, live) + instances.singletons(host, live)
    return {instances.display_name(unit): host.systemd.state(unit).active for unit in units}


def _full(host: Host) -> str | None:
    """Which disk is full: the app answers GET all the same, as its probe does."""
    releases = host.releases
    return full((releases.root, releases.folder, releases.sealed, *host.disks))


def _crashes(host: Host, record: Record) -> dict[str, Crashes]:
    """The units of the live release that crashed in the last hour, since it is live."""
    since = time.time() - LOOP_SECONDS
    if record.live_at:
        since = max(since, datetime.fromisoformat(record.live_at).timestamp())
    found = {unit: host.systemd.crashes(unit, since) for unit in instances.services(host, record.release)}
    return {unit: each for unit, each in found.items() if each.restarts or each.kills}


def _loop(host: Host, live: str, crashes: dict[str, Crashes]) -> str | None:
    """Which unit of the live release crashes again and again, and why; None if none does.

    One look finds it healthy between two crashes, and a slow leak crashes after the watch.
    """
    for unit, each in crashes.items():
        if each.loop:
            what = f"{instances.display_name(unit)}: {each}"
            advice = f": {memory_advice(unit, host.systemd.memory_max(unit))}" if each.kills else ""
            return f"{what}{advice}; `slipway logs --release {live}` shows its last lines"
    return None


def _job(host: Host, name: str) -> dict[str, Any] | None:
    """The last result of a job on this host; None: it runs just now, or has not run since the host started."""
    found = host.systemd.result(f"job-{name}.service")
    return {"result": found[0], "at": datetime.fromtimestamp(found[1], UTC).isoformat()} if found else None


def _state(host: Host, live: str | None, holder: Holder | None, processes: dict[str, str], problem: str | None) -> str:
    if holder is None or holder.purpose is Purpose.RECOVER:
        if any(record.phase for record in host.releases.all()):
            return "interrupted"
    elif not is_tidying(host, holder):
        return "deploying"
    if live is None:
        return "empty"
    if any(host.releases.slice(name) != live for name in ("live", "canary")):
        return "mixed"
    return "unhealthy" if problem or not set(processes.values()) <= {"active"} else "healthy"


def _problem(host: Host, live: str) -> str | None:
    """Why the live release does not serve, None if it does.

    Through nginx as well: a healthy release serves nobody behind an nginx that cannot read its certificate.
    """
    site = host.site
    answer = get_from_socket(host.releases.socket(live), site.ready_path, site.probe_host, scheme=site.probe_scheme)
    if not answer.good:
        return f"GET {site.ready_path} on its socket: {answer}"
    answer = host.front.get(site.front_url, site.ready_path, site.probe_host, scheme=site.probe_scheme)
    if answer.good:
        return None
    error = start_error(host.systemd)
    return f"GET {site.ready_path} through nginx: {answer}" + (f"; {error}" if error else "")


def text(values: dict[str, Any]) -> str:
    """The status for people."""
    lines = [f"{values['host']}: {values['state']}"]
    if site := values["site"]:
        names = ", ".join(site.get("names", []))
        lines.append(f"  site      {site.get('project') or 'no project'}, {site.get('environment')}: {names}")
    if values["live"]:
        lines.append(f"  live      {values['live']} since {values['since']}, by {values['by'] or 'unknown'}")
        commit, dirty, _ = (values["commit"] or "unknown").partition("-dirty")
        lines.append(f"  commit    {commit}" + ", with changes that no commit has" * bool(dirty))
        name = "" if values["image_name"].startswith("sha256:") else f" {values['image_name']}"
        lines.append(f"  image     {values['image'][:19]}{name}")
        serves = f"port {values['port']}" if values["port"] else "the socket that it is handed"
        lines.append(f"  serves    on {serves}")
    if count := values["scaled_workers"]:
        lines.append(f"  workers   {count}, by `slipway scale`, until the next deploy or reboot")
    if on := values["maintenance"]:
        lines.append(f"  MAINTENANCE since {on['since']}, by {on['by']}: clients get 503 with {on['message']!r}")
    if values["problem"]:
        lines.append(f"  problem   {values['problem'].splitlines()[0]}")
    lines += [f"  crashes   {name}: {Crashes.from_json(each)}" for name, each in values["crashes"].items()]
    if values["processes"]:
        lines.append("  processes " + ", ".join(f"{name} {state}" for name, state in values["processes"].items()))
    lines += [f"  job       {name}: {each['result']} at {each['at']}" for name, each in values["jobs"].items() if each]
    lines.append(f"  rollback  {values['rollback_target'] or 'no earlier healthy release on this host'}")
    if values["secrets_changed"]:
        lines.append("  secrets   changed since this release started; the new ones are used from its next start on")
    if values["lock"]:
        lines.append(f"  lock      {Holder.from_json(values['lock'])}")
    lines.append(f"  disk      {values['disk']['free_bytes'] >> 20} MiB free")
    lines += [f"  tls       {line}" for line in certificates.words(values["certificates"])]
    lines += [f"  backup    {line}" for line in (backups.words(values["backup"]) if values["backup"] else ())]
    provisioned = values["provisioned_version"]
    note = "" if provisioned == values["version"] else f", provisioned by {provisioned or 'a version before 0.9'}"
    lines.append(f"  slipway   {values['version']}{note}")
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
