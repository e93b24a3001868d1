"""Names that no other checkout on this machine has, for what checkouts would otherwise share: containers and images."""

import hashlib
import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CHECKOUT = os.environ.get("SLIPWAY_CHECKOUT") or hashlib.sha256(str(ROOT).encode()).hexdigest()[:6]
"""The same as in tools/lib.sh, which exports the variable: a test's copy of the tree belongs to the test's checkout."""

APP_IMAGES = f"slipway-app-{CHECKOUT}"
"""The repository of images of the app; tags tell what they are for."""
THIRD_PARTY_IMAGES = f"slipway-third-party-{CHECKOUT}"
"""The repository of images that the tests deploy in the app's place."""
TRIAL = f"slipway-try-{CHECKOUT}"
"""The repository of what `make try` builds, and the beginning of the names of its containers."""


def container(host: str) -> str:
    """The name of a test host's container."""
    return f"slipway-host-{CHECKOUT}-{host}"
