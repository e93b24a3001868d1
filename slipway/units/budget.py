"""How PostgreSQL and the broker share the data host's memory, and the app's processes PostgreSQL's connections."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

SLOTS_PER_HOST = 2
"""During a deploy two releases run."""


KIBIBYTES = {"K": 1, "M": 1 << 10, "G": 1 << 20, "T": 1 << 30}
SWAP = 0.5
"""Of what a unit may have, as much again may be in the swap."""


def kibibytes(size: str) -> int | None:
    """Read a size as systemd does: bytes, or with K, M, G or T. None: infinity."""
    if size == "infinity":
        return None
    return int(size[:-1]) * KIBIBYTES[size[-1]] if size[-1:] in KIBIBYTES else int(size) >> 10


def swap(memory_max: str) -> str:
    """MemorySwapMax= of a unit: idle pages may go there, and a leak does not fill it."""
    size = kibibytes(memory_max)
    if size is None:
        return "infinity"
    part = int(size * SWAP)
    return f"{part >> 10}M" if part >= 64 << 10 else f"{part}K"


SYSTEM_MIB = 200
"""Debian with journald, sshd, polkit and nginx, measured idle on a VM: 178 without Slipway, 17 of nginx and polkit."""
LEAST_MIB = 64
"""A Python server below this does not start."""


@dataclass(frozen=True)
class Need:
    """What an app host's memory is for, in MiB; during a deploy two releases run."""

    machine: int
    swap: int
    data: int
    """Of PostgreSQL and the broker on this host."""
    release: int | None
    """What one release may take, with its processes; None: without a limit."""
    single: int | None
    """The same for its processes of which one runs."""

    @classmethod
    def of(cls, machine: int, swap: int, data: int, memory_max: str, processes: Iterable[Mapping[str, Any]]) -> "Need":
        """Sum up. `processes`: entries of app_processes."""
        release: list[int | None] = [kibibytes(memory_max)]
        single: list[int | None] = []
        for each in processes:
            size = kibibytes(str(each.get("memory_max") or memory_max))
            (single if each.get("single") else release).extend([size] * int(each.get("count", 1)))
        return cls(machine, swap, data, _sum(release), _sum(single))

    @property
    def works(self) -> bool:
        """Whether two releases of any app could run."""
        return SYSTEM_MIB + self.data + SLOTS_PER_HOST * LEAST_MIB <= self.machine + self.swap

    @property
    def fits(self) -> bool:
        """Whether all may take what they are allowed to at the same time."""
        if self.release is None or self.single is None:
            return True  # nobody knows
        return self._total(self.release, self.single) <= self.machine + self.swap

    @property
    def fitting(self) -> int:
        """The largest sum of one release that fits; 0 or less if none does."""
        return (self.machine + self.swap - SYSTEM_MIB - self.data - (self.single or 0)) // SLOTS_PER_HOST

    def words(self) -> str:
        """The arithmetic."""
        parts = [f"{SYSTEM_MIB} of the system and nginx"]
        parts += [f"{self.data} of PostgreSQL and the broker"] * bool(self.data)
        release, single = self.release or LEAST_MIB, self.single or 0
        if not self.works:
            release, single = LEAST_MIB, 0
        parts.append(f"{SLOTS_PER_HOST} releases (during a deploy) x {release}")
        parts += [f"{single} of single processes"] * bool(single)
        has = f"{self.machine}" + f" and {self.swap} of swap" * bool(self.swap)
        return f"{' + '.join(parts)} = {self._total(release, single)} MiB, and this host has {has}"

    def _total(self, release: int, single: int) -> int:
        return SYSTEM_MIB + self.data + SLOTS_PER_HOST * release + single


def _sum(sizes: list[int | None]) -> int | None:
    """The sum in MiB, None if one is infinite."""
    known = [size for size in sizes if size is not None]
    return sum(known) >> 10 if len(known) == len(sizes) else None


def data_share(budget: int, machine: int) -> int:
    """What PostgreSQL and the broker take of an app host, in MiB: see `memory`."""
    return budget or int(machine * 0.25)


@dataclass(frozen=True)
class Memory:
    """What each gets, in MiB."""

    shared_buffers: int
    effective_cache_size: int
    work_mem: int
    maintenance_work_mem: int
    broker: int


def memory(budget: int, machine: int, *, own_host: bool, connections: int) -> Memory:
    """Share out the memory. `budget` and `machine` in MiB; `budget` 0: derived from the machine's.

    A host of its own keeps a quarter for the system and the page cache of everything else; an app host keeps three
    quarters for two releases, nginx and the system.
    """
    total = budget or (int(machine * 0.75) if own_host else data_share(budget, machine))
    return Memory(
        # "25% of the memory in your system" is where to start, and more than 40 % does not help: PostgreSQL's
        # documentation, "Resource Consumption", shared_buffers.
        shared_buffers=max(16, total // 4),
        # What planning may assume to be cached, by PostgreSQL and by the kernel: half is "a normal conservative
        # setting" in PostgreSQL's wiki, "Tuning Your PostgreSQL Server".
        effective_cache_size=max(32, total // 2),
        # For each sort or hash of each connection, of which a query may have several: a quarter of the memory if every
        # connection has one at the same time.
        work_mem=max(1, total // 4 // connections),
        # For the few that vacuum or create an index: "larger settings might improve performance".
        maintenance_work_mem=max(16, total // 16),
        # While a fork writes the broker's data to disk, changed pages are in memory twice.
        broker=max(16, total // 8),
    )


@dataclass(frozen=True)
class Pools:
    """Who may open how many connections: every worker has a pool of its own.

    2 releases x hosts x (workers x pool + tasks) + reserved <= maximum
    """

    hosts: int
    """App hosts."""
    workers: int
    """Web workers of one release on the app host that has the most."""
    tasks: int
    """Connections of the other processes of one release on one host together."""
    pool_size: int
    """Of one web worker; 0: what is left is shared out."""
    maximum: int
    """Connections that PostgreSQL accepts."""
    reserved: int
    """For people, migrations and one-off commands."""

    @property
    def _slots(self) -> int:
        return SLOTS_PER_HOST * self.hosts

    @property
    def _left(self) -> int:
        """For the web workers of one release on one host, if all is shared out."""
        return (self.maximum - self.reserved) // self._slots - self.tasks

    @property
    def web(self) -> int:
        """Connections of the web workers of one release on one host together: the app's DATABASE_CONNECTIONS."""
        return self.pool_size * self.workers or self._left

    @property
    def total(self) -> int:
        """All that may be open at the same time."""
        return self._slots * (self.web + self.tasks) + self.reserved

    @property
    def fit(self) -> bool:
        """Whether each worker has a connection, and PostgreSQL accepts all of them."""
        return self.web >= self.workers and self.total <= self.maximum

    @property
    def needed(self) -> int:
        """The `maximum` with which they fit."""
        return self._slots * (self.workers * max(1, self.pool_size) + self.tasks) + self.reserved

    @property
    def fitting(self) -> int:
        """The largest `pool_size` that fits; 0 or less if none does."""
        return self._left // self.workers


def workers(given: int, cpus: int, workload: str) -> int:
    """Web workers of a release, as server/sizing.py has it without the bound by memory; `given` 0: by the CPUs."""
    return given or cpus * (2 if workload == "io" else 1)
