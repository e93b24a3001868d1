"""Who did what on this host: one JSON object per line, only ever appended to."""

import json
import os
from typing import Any

from slipway.host import Host
from slipway.releases import now


def write(host: Host, what: str, **fields: Any) -> None:
    """Add a line to /srv/app/audit.jsonl."""
    line = json.dumps({"at": now(), "what": what, **fields}) + "\n"
    descriptor = os.open(host.releases.root / "audit.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)
