"""A data host of its own, as its status and its alerts know it: the settings that provisioning wrote on the host."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from slipway.model.errors import SlipwayError

FILE = Path("/etc/slipway/data.json")


@dataclass(frozen=True)
class DataSettings:
    """The settings of a data host."""

    services: tuple[str, ...]
    """The units of PostgreSQL and of the broker."""
    backup: bool
    """The host has backups."""

    @classmethod
    def load(cls, path: Path = FILE) -> Self:
        """Read the settings.

        Raises:
            SlipwayError: the file is missing or damaged.
        """
        try:
            values: dict[str, Any] = json.loads(path.read_text())
            return cls(tuple(map(str, values["services"])), bool(values["backup"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SlipwayError(
                f"{path} is missing or damaged ({type(error).__name__}: {error}). Type: slipway provision <environment>"
            ) from None
