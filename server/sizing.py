"""How many workers this process should have, from what it is allowed to use where it starts.

One worker is one event loop, and so at most one busy CPU. The rule:

    CPUs    = the smaller of the affinity mask and the cgroup's CPU quota (every level of the hierarchy counts)
    workers = CPUs x factor, rounded up   (WORKLOAD=cpu: 1; WORKLOAD=io: 2, for apps that wait a lot)
    bounded by memory, at least 1; WEB_CONCURRENCY, if set, is the answer instead

A quota of 1.5 CPUs gives two workers, not one: rounding down would leave a third of what was paid for unused, and the
kernel's quota is a bound on the sum anyway.
"""

import math
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

FACTORS = {"cpu": 1, "io": 2}
MOST_WORKERS = 256

MIB = 2**20
SHARED_MEMORY = 96 * MIB
"""The master and what the workers share with it. This app measures about 60 MiB; an app with more imports has more."""
WORKER_MEMORY = 64 * MIB
"""One worker's own memory under load: this app measures 21 MiB (smaps, Private_Dirty); the rest is for real apps."""

UNLIMITED = 2**60
"""cgroup v1 writes "no limit" as the largest page-aligned number, about 2^63."""


class BadSettingError(ValueError):
    """A setting that cannot be. The message names the value, the rule and what to type."""


@dataclass(frozen=True)
class Plan:
    """A worker count and why it is this one."""

    workers: int
    why: str


def plan(env: Mapping[str, str], root: Path = Path("/"), affinity: int | None = None) -> Plan:
    """Decide the number of workers.

    `root` is where /proc and /sys are found; `affinity` the number of CPUs this process may run on. Raises
    BadSettingError for a WEB_CONCURRENCY, WORKLOAD or MEMORY_MAX that makes no sense.
    """
    factor, workload = _factor(env)
    limit = memory_limit(env, root)
    if chosen := env.get("WEB_CONCURRENCY", "").strip():
        return Plan(_chosen(chosen), f"WEB_CONCURRENCY={chosen}")

    allowed = affinity or len(os.sched_getaffinity(0))
    quota = cpu_quota(root)
    cpus = min(allowed, quota)
    wanted = max(1, math.ceil(round(cpus * factor, 6)))
    why = f"{cpus:g} CPUs (affinity {allowed}, quota {quota:g}) x {factor} (WORKLOAD={workload})"
    fitting = max(1, int((limit - SHARED_MEMORY) // WORKER_MEMORY)) if limit < math.inf else MOST_WORKERS
    if fitting < wanted:
        return Plan(fitting, f"{limit / MIB:.0f} MiB of memory have room for {fitting}; {why} would be {wanted}")
    return Plan(min(wanted, MOST_WORKERS), why)


def cpu_quota(root: Path = Path("/")) -> float:
    """Tell how many CPUs' worth of time the cgroup may use: the least of all levels, infinity if none is set."""
    quotas = [math.inf]
    for folder in _levels(root, "cpu"):
        match _words(folder / "cpu.max"):  # v2: "150000 100000", "max 100000"
            case [quota, period] if quota.isdigit() and period.isdigit() and int(period):
                quotas.append(int(quota) / int(period))
        match _words(folder / "cpu.cfs_quota_us"), _words(folder / "cpu.cfs_period_us"):  # v1: -1 is none
            case [quota], [period] if quota.isdigit() and period.isdigit() and int(period):
                quotas.append(int(quota) / int(period))
    return min((quota for quota in quotas if quota > 0), default=math.inf)


def memory_limit(env: Mapping[str, str], root: Path = Path("/")) -> float:
    """Tell how many bytes may be used: the least of the cgroup's levels, MEMORY_MAX and the machine's memory.

    MEMORY_MAX is for where the cgroup cannot be seen; it is written as systemd's MemoryMax (bytes, or 512M, 2G,
    infinity). /proc/meminfo is hidden from a unit with ProcSubset=pid, and then not read.
    """
    limits = [_size(env.get("MEMORY_MAX", ""))]
    for folder in _levels(root, "memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            match _words(folder / name):
                case [value] if value.isdigit() and int(value) < UNLIMITED:
                    limits.append(int(value))
    match _words(root / "proc/meminfo"):
        case ["MemTotal:", kilobytes, "kB", *_]:
            limits.append(int(kilobytes) * 1024)
    return min(limits)


def _levels(root: Path, controller: str) -> Iterator[Path]:
    """Give the folders of this process's cgroup for a controller, from its own up to the hierarchy's root.

    In a container the path of /proc/self/cgroup may be the host's while the mount shows only the container's own
    part: the folders then do not exist, and what counts is found at the mount's root, which always comes last.
    """
    mount = root / "sys/fs/cgroup"
    for line in _lines(root / "proc/self/cgroup"):
        _, names, path = [*line.split(":", 2), "", ""][:3]
        if not names:  # "0::/path" is v2, under `unified` where a host has both
            bases = [mount, mount / "unified"]
        elif controller in names.split(","):  # "4:cpu,cpuacct:/path" is v1
            bases = [mount / names, mount / controller]
        else:
            continue
        own = Path(path.strip("/"))
        for base in bases:
            yield from (base / part for part in (own, *own.parents) if ".." not in part.parts)


def _words(path: Path) -> list[str]:
    return " ".join(_lines(path)).split()


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:  # not this kind of hierarchy, or hidden by the sandbox
        return []


def _factor(env: Mapping[str, str]) -> tuple[int, str]:
    workload = env.get("WORKLOAD", "").strip() or "cpu"
    if workload not in FACTORS:
        raise BadSettingError(
            f"WORKLOAD={workload!r} is not a kind of workload: type WORKLOAD=io if requests mostly wait, "
            "else WORKLOAD=cpu"
        )
    return FACTORS[workload], workload


def _chosen(value: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", value, re.ASCII) or not 1 <= int(value) <= MOST_WORKERS:
        raise BadSettingError(
            f"WEB_CONCURRENCY={value!r} is not a number of workers: type a whole number from 1 to {MOST_WORKERS}, "
            "for example WEB_CONCURRENCY=4, or unset it and the number is computed"
        )
    return int(value)


def _size(value: str) -> float:
    text = value.strip() or "infinity"
    if text == "infinity":
        return math.inf
    match = re.fullmatch(r"([0-9]{1,18})([KMGT]?)", text, re.ASCII)
    size = int(match[1]) * 1024 ** " KMGT".index(match[2] or " ") if match else 0
    if size < MIB:
        raise BadSettingError(
            f"MEMORY_MAX={value!r} is not a size of at least 1M: type bytes or a size like MEMORY_MAX=512M, "
            "or MEMORY_MAX=infinity"
        )
    return size
