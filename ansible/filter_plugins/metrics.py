"""Filters: where metrics are served (slipway.units.metrics)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slipway.units.metrics import drop_ins, opened, refusals, settings


class FilterModule:
    """What Ansible asks a file of filters for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name the filters."""
        return {
            "metrics_drop_ins": drop_ins,
            "metrics_opened": opened,
            "metrics_refusals": refusals,
            "metrics_settings": settings,
        }
