"""Filter: the secrets that YAML did not read as text (slipway.controller.variables)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slipway.controller.variables import not_text


class FilterModule:
    """What Ansible asks a file of filters for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name the filters."""
        return {"not_text": not_text}
