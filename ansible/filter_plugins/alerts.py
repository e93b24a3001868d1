"""Filters: the variable of the alerts (slipway.alerts.settings)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slipway.alerts.settings import refusals


class FilterModule:
    """What Ansible asks a file of filters for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name the filters."""
        return {"alerts_refusals": refusals}
