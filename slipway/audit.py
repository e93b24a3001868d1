"""Who did what on this host: one JSON object per line, only ever appended to.

The file is `deploy`'s, so whoever has its key could change it. Activations are in the journal as well, which is root's.
"""

import json
import os
from typing import Any

from slipway.host import Host
from slipway.releases import Record, now

FILE = "audit.jsonl"


def write(host: Host, what: str, **fields: Any) -> str:
    """Add a line to /srv/app/audit.jsonl, and return it."""
    line = json.dumps({"at": now(), "what": what, **fields})
    descriptor = os.open(host.releases.root / FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(descriptor, line.encode() + b"\n")
    finally:
        os.close(descriptor)
    return line


def activation(host: Host, record: Record, ended: str, seconds: float, old: str | None) -> str:
    """Add how a deploy or a rollback ended. `seconds` is how long it took, `old` what was live before it.

    Returns what to tell the journal. A full disk must not change how it ended, so that is told and not raised.
    """
    asked = record.request
    fields = {
        "release": record.release,
        "ended": ended,
        "by": asked.get("by"),
        "origin": asked.get("from"),
        "commit": record.commit,
        "image": record.image,
        "before": old,
        "live": host.releases.current(),
        "seconds": round(seconds, 3),
        "phases": {phase["name"]: phase["seconds"] for phase in record.phases},
        "cause": record.cause.splitlines()[0] if record.cause else None,
    }
    try:
        return "audit " + write(host, asked.get("kind", "deploy"), **fields)
    except OSError as error:
        return f"warning: it is not in the audit: {error}"


def last(host: Host, most: int = 10) -> list[dict[str, Any]]:
    """The last entries, oldest first. A damaged line is left out."""
    try:
        lines = (host.releases.root / FILE).read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return []
    entries = []
    for line in lines[-most:]:
        try:
            entries.append(json.loads(line))
        except ValueError:
            continue
    return [entry for entry in entries if isinstance(entry, dict)]
