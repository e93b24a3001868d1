"""Filters: the project of an inventory, and whose host it is (slipway.controller.project)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slipway.controller.project import image_cache, owner_conflict, project_name, project_root


class FilterModule:
    """What Ansible asks a file of filters for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name the filters."""
        return {
            "image_cache": image_cache,
            "owner_conflict": owner_conflict,
            "project_name": project_name,
            "project_root": project_root,
        }
