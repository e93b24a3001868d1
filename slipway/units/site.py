"""The variables of a site that its units follow from, typed. Their documentation is in ansible/roles/app/defaults."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, Self

from slipway.model.names import PROCESS, RESERVED_PROCESSES
from slipway.units.data import Names

Egress = Literal["none", "host", "networks", "internet"]


def _known(cls: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """Drop what was not given, so that the defaults of the dataclass hold.

    Raises:
        ValueError: a key that the dataclass does not have.
    """
    names = {each.name for each in fields(cls)}
    if unknown := sorted(set(values) - names):
        raise ValueError(
            f"{cls.__name__} has no {', '.join(unknown)}; it has {', '.join(sorted(names))}. Remove or rename the key."
        )
    return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True)
class Process:
    """An entry of app_processes."""

    name: str
    count: int = 1
    single: bool = False
    """One on all hosts, and never two at a time."""
    memory_max: str | None = None
    """None: the app's."""
    connections: int | None = None
    """Connections to PostgreSQL that each may open. None: one per CPU of the largest app host."""

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:
        """Read an entry as it stands in YAML.

        Raises:
            ValueError: an unknown key, or a count or number of connections that is no whole number.
        """
        known = _known(cls, values)
        return cls(**known | {name: int(known[name]) for name in ("count", "connections") if name in known})

    @property
    def units(self) -> list[str]:
        """The names of its templates, without the suffix: app-worker.1, app-worker.2."""
        return [f"app-{self.name}.{number}" for number in range(1, self.count + 1)]


SIZE = re.compile(r"[1-9][0-9]*[KMGT]?|infinity")
"""Bytes, as systemd reads them."""


def process_problems(entries: Iterable[Mapping[str, Any]]) -> list[str]:
    """Say what is wrong with app_processes, each with the value and the rule; nothing if all is right."""
    found, names = [], list[str]()
    for entry in entries:
        name, count = str(entry["name"]), int(entry.get("count", 1))
        if not PROCESS.fullmatch(name) or name in RESERVED_PROCESSES:
            found.append(
                f"the name {name!r} must be that of a line of the Procfile: letters, digits, - and _, and none of "
                f"{', '.join(sorted(RESERVED_PROCESSES))}"
            )
        if name in names:
            found.append(f"{name} is there twice, and must be there once: set its count instead")
        if count < 1:
            found.append(f"{name} has the count {count}, and must have 1 or more")
        if entry.get("single") and count != 1:
            found.append(f"{name} is single and has the count {count}, and must have 1")
        if (size := str(entry.get("memory_max") or "1G")) and not SIZE.fullmatch(size):
            found.append(f"{name} has memory_max {size}, and must have a size like 512M or 2G, or infinity")
        names.append(name)
    return found


@dataclass(frozen=True)
class Job:
    """An entry of app_jobs."""

    name: str
    command: str
    schedule: str
    """As OnCalendar= has it."""
    timeout: int = 3600
    """Seconds."""

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:
        """Read an entry as it stands in YAML.

        Raises:
            ValueError: an unknown key, or a timeout that is no whole number.
        """
        known = _known(cls, values)
        return cls(**known | {name: int(known[name]) for name in ("timeout",) if name in known})

    @property
    def unit(self) -> str:
        """The name of its units, without the suffix."""
        return f"job-{self.name}"


@dataclass(frozen=True)
class DataHost:
    """What the host of the group `data` gives to the app's units."""

    local: bool
    """The app host itself: sockets, and no password."""
    broker: bool
    connections: int
    """Connections to PostgreSQL of one release's web workers together."""
    process_connections: int = 2
    """Of each process that does not name a number of its own."""
    tcp: bool = False
    """Of a local one: by the loopback of each unit's own network, for drivers that know no unix socket."""
    names: Names = field(default_factory=Names)
    """By which variables the app finds them."""

    @property
    def proxied(self) -> bool:
        """Whether each unit has the data on its own loopback."""
        return self.local and self.tcp

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:
        """Read the values as Ansible passes them.

        Raises:
            ValueError: an unknown key.
        """
        known = _known(cls, values)
        return cls(**known | {"names": Names(**_known(Names, known.get("names", {})))})


@dataclass(frozen=True)
class Site:
    """All variables of one app host that its units follow from."""

    egress: Egress = "none"
    egress_networks: tuple[str, ...] = ()
    resolvers: tuple[str, ...] = ()
    """Addresses of the host's DNS servers."""
    workload: str = "io"
    workers: int = 0
    """0: computed on the host."""
    memory_max: str = "512M"
    memory_high: str = ""
    """Empty: none."""
    swap_max: str = ""
    """Empty: derived from memory_max."""
    preload: bool = True
    allow_jit: bool = False
    writable: tuple[str, ...] = ()
    """Folders of the image that are bound to ones in /var/lib/app-writable."""
    secrets: tuple[str, ...] = ()
    """Names only."""
    request_timeout: int = 30
    """Seconds, as are the two below."""
    process_stop_timeout: int = 60
    migrate_timeout: int = 300
    processes: tuple[Process, ...] = ()
    jobs: tuple[Job, ...] = ()
    data: DataHost | None = None
    """None: no host of the group `data`."""
    private_processes: bool = False
    """The host's systemd has PrivatePIDs= (257): for what runs to an end."""
    backup: bool = False
    """The host has backups: nightly, before migrations, and tried out every week."""
    backup_wal: bool = False
    """Its PostgreSQL archives the WAL."""
    runs_singletons: bool = True
    """This host runs the jobs and the single processes (app_single_host)."""

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:
        """Read the variables as Ansible passes them, numbers and booleans already converted.

        Raises:
            ValueError: an unknown key, at the top or in an entry of a list.
        """
        known = _known(cls, values)
        known |= {
            name: tuple(known[name])
            for name in ("egress_networks", "resolvers", "secrets", "writable")
            if name in known
        }
        # A size without a unit is a number in YAML.
        known |= {name: str(known[name]) for name in ("memory_max", "memory_high", "swap_max") if name in known}
        known["processes"] = processes(known.get("processes", ()))
        known["jobs"] = tuple(Job.parse(job) for job in known.get("jobs", ()))
        if known.get("data"):
            known["data"] = DataHost.parse(known["data"])
        else:
            known["data"] = None
        return cls(**known)


def processes(entries: Iterable[Mapping[str, Any]]) -> tuple[Process, ...]:
    """Read app_processes.

    Raises:
        ValueError: as Process.parse.
    """
    return tuple(Process.parse(entry) for entry in entries)
