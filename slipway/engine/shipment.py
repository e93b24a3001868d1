"""A release that is under way: its manifest, and the sealed release that it is compared with."""

import json
from dataclasses import dataclass
from typing import Self

from slipway.model.errors import UsageError
from slipway.model.manifest import Manifest
from slipway.model.names import check_release


@dataclass(frozen=True)
class Shipment:
    """What `begin` leaves for `end`, and for sealing."""

    base: str | None
    """Files that are the same in this release are not sent."""
    manifest: Manifest

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `to_text` wrote.

        Raises:
            UsageError: it is damaged.
        """
        try:
            document = json.loads(text)
            base, manifest = document["base"], document["manifest"]
        except (ValueError, TypeError, KeyError) as error:
            raise UsageError(f"the shipment's description is damaged ({error}): ship the release again") from None
        return cls(base if base is None else check_release(base), Manifest.parse(json.dumps(manifest)))

    def to_text(self) -> str:
        """The document that `parse` reads."""
        return json.dumps({"base": self.base, "manifest": self.manifest.to_json()})
