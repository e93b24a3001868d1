"""Filters: the firewall of the host (slipway.units.firewall)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from slipway.units.firewall import closed, others, problem, rules


def firewall_problems(entries: Iterable[Any]) -> list[str]:
    """Return what is wrong with the entries of hardening_firewall_open."""
    return [wrong for entry in entries if (wrong := problem(entry)) is not None]


def firewall_rules(entries: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return nftables' statements for the entries."""
    return rules(entries)


class FilterModule:
    """What Ansible asks a file of filters for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name the filters."""
        return {
            "firewall_problems": firewall_problems,
            "firewall_rules": firewall_rules,
            "firewall_others": others,
            "firewall_closed": closed,
        }
