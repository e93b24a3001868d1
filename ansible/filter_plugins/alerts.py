"""Filters: the variables of the alerts (slipway.alerts.settings)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from slipway.alerts.settings import refusals


def addresses(names: Iterable[str], hostvars: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return alerts_address of each host that has one, by the host's name."""
    # A role's defaults are none of another host's variables.
    found = {name: hostvars[name].get("alerts_address", hostvars[name].get("ansible_host", name)) for name in names}
    return {name: str(address) for name, address in found.items() if address}


class FilterModule:
    """What Ansible asks a file of filters for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name the filters."""
        return {"alerts_refusals": refusals, "alerts_addresses": addresses}
