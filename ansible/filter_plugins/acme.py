"""Filters: the variables of certificates by ACME (slipway.controller.acme)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slipway.controller.acme import binding_file, credentials_file, refusals


class FilterModule:
    """What Ansible asks a file of filters for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name the filters."""
        return {
            "acme_binding": binding_file,
            "acme_credentials": credentials_file,
            "acme_refusals": refusals,
        }
