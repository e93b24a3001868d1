"""Filters: what the data host shares out (slipway.units.budget). Numbers may come as text, as -e passes them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import Any

from slipway.units.budget import Need, Pools, data_share, memory, workers


def memory_shares(budget: Any, machine: Any, connections: Any, *, own_host: bool) -> dict[str, int]:
    """Share out the memory, in MiB; `budget` 0: derived from the machine's."""
    return asdict(memory(int(budget), int(machine), own_host=own_host, connections=int(connections)))


def memory_need(
    meminfo: str,
    memory_max: str,
    processes: Iterable[Mapping[str, Any]],
    data: Any,
    *,
    has_data: bool,
    swap_added: Any = 0,
) -> dict[str, Any]:
    """Compare an app host's memory with what runs there.

    Args:
        meminfo: the host's /proc/meminfo.
        memory_max: app_memory_max.
        processes: entries of app_processes.
        data: data_memory, in MiB.
        has_data: whether PostgreSQL and the broker run on this host.
        swap_added: MiB of swap that provisioning is about to add.
    """
    mebibytes = {name: int(value) >> 10 for name, value in re.findall(r"^(\w+):\s+(\d+) kB$", meminfo, re.MULTILINE)}
    machine = mebibytes["MemTotal"]
    share = data_share(int(data), machine) if has_data else 0
    swap = mebibytes.get("SwapTotal", 0) + int(swap_added)
    need = Need.of(machine, swap, share, memory_max, processes)
    return {"works": need.works, "fits": need.fits, "fitting": need.fitting, "words": need.words()}


def connection_pools(pool_size: Any, **values: Any) -> dict[str, Any]:
    """Share out the connections. `values`: those of Pools, with `cpus` and `workload` for workers that are 0."""
    numbers = {name: int(value) for name, value in values.items() if name != "workload"}
    numbers["workers"] = workers(numbers["workers"], numbers.pop("cpus"), values["workload"])
    pools = Pools(pool_size=int(pool_size), **numbers)
    derived = {name: getattr(pools, name) for name in ("web", "total", "fit", "needed", "fitting")}
    return asdict(pools) | derived


class FilterModule:
    """What Ansible asks a file of filters for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name the filters."""
        return {"memory_shares": memory_shares, "connection_pools": connection_pools, "memory_need": memory_need}
