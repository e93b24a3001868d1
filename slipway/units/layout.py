"""Which units a site has, under which names, and which drop-ins each of them gets."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from slipway.units import drop_ins
from slipway.units.site import Site

# Installed under the name that they have in systemd/.
FIXED = (
    "app@.socket",
    "app@.service",
    "migrate@.service",
    "run@.service",
    "network@.service",
    "proxy@.service",
    "deploy@.service",
    "recover.service",
    "name-resolution.path",
    "name-resolution.service",
    "seal@.service",
    "remove@.service",
    "scale@.service",
    "command@.service",
    "journal-sync@.service",
)
BACKUP = ("backup@.service", "restore-test.service", "backup.timer", "restore-test.timer")
BACKUP_WAL = ("backup-wal.path", "backup-wal.timer")
SLICES = ("point-live", "point-canary")
# What the user `sealer` does for `deploy`.
SEALERS = ("seal", "remove", "command", *SLICES)
# Drop-ins of the units that systemd starts for LogNamespace= in sandbox.conf.
JOURNAL = {
    "systemd-journald@app.service.d/50-slipway.conf": "journald.service.conf",
    "systemd-journald@app.socket.d/50-slipway.conf": "journald.socket.conf",
    "systemd-journald-varlink@app.socket.d/50-slipway.conf": "journald-varlink.socket.conf",
}
RESOLUTION = ("name-resolution.path", "name-resolution.service")
# What brings a local data host to the loopback of a unit, and the file in systemd/ that each is.
DATA_PROXIES = {
    "data-postgres": "data-postgres",
    "data-postgres-migrate": "data-postgres",
    "data-broker": "data-broker",
}
# The server's own timeout ends a request first; systemd's comes this many seconds later.
STOP_MARGIN = 10


@dataclass(frozen=True)
class Units:
    """The units of a site."""

    files: dict[str, str]
    """Each path below the folder of units with its text."""
    names: list[str]
    """Unit files, without drop-ins."""
    folders: list[str]
    """Folders of drop-ins."""
    deployable: list[str]
    """Templates that the user `deploy` may start and stop, without the suffix."""
    enabled: dict[str, bool]
    """Units that systemd starts at boot, or must not: each with whether it does."""
    timers: dict[str, bool]
    """What starts jobs and backups: each with whether it runs on this host."""
    message_pattern: str
    """Matches a line of systemd-analyze that names one of these units."""


@dataclass(frozen=True)
class _Service:
    """What tells the sandboxed services apart."""

    memory_max: str
    timeout: str
    connections: int = 2


def render(site: Site, systemd: Mapping[str, str]) -> Units:
    """Render all units of a site. `systemd`: the files of the folder systemd/, by their path in it, with their text.

    Raises:
        KeyError: a file is missing in `systemd`.
    """
    services = _services(site)
    jobs = [job.unit for job in site.jobs]
    to_an_end = {"migrate", "run", *jobs}
    sources = {name: name for name in FIXED}
    sources |= {f"{unit}@.service": "process@.service" for process in site.processes for unit in process.units}
    sources |= {f"{unit}@.service": "job@.service" for unit in jobs}
    sources |= {f"{unit}.service": "job.service" for unit in jobs}
    if site.data and site.data.proxied:
        for name, source in DATA_PROXIES.items():
            sources |= {f"{name}@.{kind}": f"{source}@.{kind}" for kind in ("socket", "service")}
    sources |= {f"{unit}@.service": "point@.service" for unit in SLICES}
    sources |= {name: name for name in _backup(site)}
    timers = {f"{job.unit}.timer": drop_ins.timer(job) for job in site.jobs}
    names = [*sources, *timers]

    # What runs in a release may do what the app may: all services have its drop-ins.
    files = {path: systemd[source] for path, source in (sources | JOURNAL).items()} | timers
    for unit, service in services.items():
        folder = f"{unit}@.service.d"
        files[f"{folder}/10-sandbox.conf"] = systemd["sandbox.conf"]
        files[f"{folder}/15-network.conf"] = systemd["network.conf"]
        files[f"{folder}/20-egress.conf"] = systemd[f"egress/{site.egress}.conf"]
        if site.private_processes and unit in to_an_end:
            files[f"{folder}/16-processes.conf"] = systemd["processes.conf"]
        files[f"{folder}/30-settings.conf"] = drop_ins.settings(site, service.memory_max, service.timeout)
        if site.egress == "networks":
            files[f"{folder}/21-networks.conf"] = drop_ins.networks(site)
        if site.writable:
            files[f"{folder}/35-writable.conf"] = drop_ins.writable(site, unit)
        if site.data:
            files[f"{folder}/40-data.conf"] = drop_ins.data(site, unit, service.connections)
    files["network@.service.d/20-egress.conf"] = drop_ins.network(site)
    files["proxy@.service.d/30-settings.conf"] = drop_ins.proxy(services["app"].timeout)
    if site.data and site.data.proxied:
        files["data-postgres-migrate@.service.d/20-user.conf"] = drop_ins.migration_user()
    for proxy in ("proxy", *(DATA_PROXIES if site.data and site.data.proxied else ())):
        files[f"{proxy}@.service.d/10-sandbox.conf"] = systemd["proxy.conf"]
    # Where the engine runs.
    for unit in ("deploy@", "recover", *jobs):
        files[f"{unit}.service.d/10-engine.conf"] = systemd["engine.conf"]
    for unit in SEALERS:
        files[f"{unit}@.service.d/10-sealer.conf"] = systemd["sealer.conf"]
    if site.data and site.data.local:
        files["recover.service.d/40-data.conf"] = systemd["after-data.conf"]

    resolves = site.egress != "none"
    return Units(
        files=files,
        names=names,
        folders=sorted({path.split("/")[0] for path in files if "/" in path}),
        deployable=[
            "app",
            *(["backup"] if site.backup else []),
            "deploy",
            "journal-sync",
            "migrate",
            "proxy",
            "run",
            "scale",
            *SEALERS,
            *(unit for each in site.processes for unit in each.units),
            *jobs,
        ],
        enabled={"recover.service": True} | dict.fromkeys(RESOLUTION, resolves),
        timers=dict.fromkeys(timers, site.runs_singletons) | dict.fromkeys(_timers(site), True),
        message_pattern=_message_pattern(names),
    )


def _timers(site: Site) -> list[str]:
    """What starts backups: unlike the timers of jobs they run on each host."""
    return [name for name in _backup(site) if name.endswith((".timer", ".path"))]


def _backup(site: Site) -> tuple[str, ...]:
    return (*(BACKUP if site.backup else ()), *(BACKUP_WAL if site.backup and site.backup_wal else ()))


def _services(site: Site) -> dict[str, _Service]:
    """List the sandboxed services. Servers and workers have a time to stop, the others a time to run."""
    migrate = _Service(site.memory_max, f"TimeoutStartSec={site.migrate_timeout}")
    services = {
        "app": _Service(site.memory_max, f"TimeoutStopSec={site.request_timeout + STOP_MARGIN}"),
        "migrate": migrate,
        "run": migrate,
    }
    default = site.data.process_connections if site.data else 2
    for process in site.processes:
        service = _Service(
            process.memory_max or site.memory_max,
            f"TimeoutStopSec={site.process_stop_timeout}",
            default if process.connections is None else process.connections,
        )
        services |= dict.fromkeys(process.units, service)
    return services | {job.unit: _Service(site.memory_max, f"TimeoutStartSec={job.timeout}") for job in site.jobs}


def _message_pattern(names: list[str]) -> str:
    """A prefix of a whole name: systemd-analyze may name a file, a unit, or an instance of it."""
    prefixes = dict.fromkeys(found[0] for name in names if (found := re.match(r"[^@.]+[@.]", name)))
    return "(^|[^a-z-])(" + "|".join(re.escape(prefix) for prefix in prefixes) + ")"
