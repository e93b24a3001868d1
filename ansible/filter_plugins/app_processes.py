"""Filters of app_processes (slipway.units): problems, which of them are single, how many connections they need."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from slipway.units.site import process_problems, processes

Entries = Iterable[Mapping[str, Any]]


def single_processes(entries: Entries) -> list[str]:
    """List the names of those of which one runs on all hosts."""
    return [process.name for process in processes(entries) if process.single]


def replicated_processes(entries: Entries) -> dict[str, int]:
    """List the others, of which two releases may run at the same time, each with its count."""
    return {process.name: process.count for process in processes(entries) if not process.single}


def process_connections(entries: Entries, default: int) -> int:
    """Add up the connections to PostgreSQL that all may open, `default` for a process that names no number."""
    return sum(
        process.count * (int(default) if process.connections is None else process.connections)
        for process in processes(entries)
    )


class FilterModule:
    """The interface that Ansible expects in a file of filters."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name the filters."""
        functions = (single_processes, replicated_processes, process_connections, process_problems)
        return {function.__name__: function for function in functions}
