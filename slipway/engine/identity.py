"""The identity of a release: hashes of its image, its settings, the secrets and the units that run it."""

import hashlib
import json
from pathlib import Path
from typing import Any

UNITS = Path("/etc/systemd/system")
SECRETS_HASH = Path("/etc/slipway/secrets.hash")
UNIT_PATTERNS = (
    "app@.*",
    "app@.service.d/*.conf",
    "app@.socket.d/*.conf",
    "app-*@.service",
    "app-*@.service.d/*.conf",
    "migrate@.service",
    "network@.service",
    "network@.service.d/*.conf",
    "proxy@.service",
    "proxy@.service.d/*.conf",
    "data-*@.*",
    "data-*@.service.d/*.conf",
    "migrate@.service.d/*.conf",
)


def digest(value: Any) -> str:
    """A hash of a JSON value that does not depend on the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def units_hash(folder: Path = UNITS) -> str:
    """A hash of the unit files and drop-ins that a release runs under."""
    files = sorted(path for pattern in UNIT_PATTERNS for path in folder.glob(pattern) if path.is_file())
    return digest([[str(path.relative_to(folder)), path.read_text()] for path in files])


def secrets_hash(path: Path = SECRETS_HASH) -> str:
    """The keyed hash of the secrets that provisioning published; empty where there are none.

    Keyed, because `deploy` must see that a secret changed and must not be able to guess it.
    """
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        return ""
