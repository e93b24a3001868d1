"""Who did what on this host: one JSON object per line, only ever appended to.

The file is `deploy`'s, so anyone with its key could change it. Activations are in the journal as well, which is root's.
"""

import json
import os
from typing import Any

from slipway.engine.durable import sync_folder
from slipway.engine.files import read_regular
from slipway.engine.host import Host
from slipway.engine.releases import now
from slipway.model.errors import SlipwayError
from slipway.model.record import Record, Request

FILE = "audit.jsonl"
LAST_BYTES = 256 * 1024
"""Of the file, in which the last entries are looked for."""


def write(host: Host, what: str, **fields: Any) -> str:
    """Add a line to /srv/app/audit.jsonl, and return it once it is on the disk."""
    line = json.dumps({"at": now(), "what": what, **fields})
    file = host.releases.root / FILE
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        size = os.fstat(descriptor).st_size
        # The entry before this one may have been cut short, by a full disk or a power cut.
        torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
        os.write(descriptor, b"\n" * torn + line.encode() + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if not size:
        sync_folder(file.parent)
    return line


def activation(host: Host, record: Record, ended: str, seconds: float | None, old: str | None) -> str:
    """Add how a deploy or a rollback ended. `seconds` is how long it took, `old` the release that was live before it.

    None for `seconds`: nobody knows, since its engine was killed.

    Returns a line for the journal. A full disk must not change how the activation ended, so that is returned and not
    raised.
    """
    request = record.request or Request(by=record.shipped_by)
    fields = {
        "id": request.id,
        "release": record.release,
        "ended": ended,
        "by": request.by,
        "origin": request.origin,
        "commit": record.commit,
        "image": record.image,
        "before": old,
        "live": host.releases.current(),
        "seconds": None if seconds is None else round(seconds, 3),
        "phases": {phase.name: phase.seconds for phase in record.phases},
        "snapshot": record.snapshot,
        "cause": record.cause.splitlines()[0] if record.cause else None,
    }
    try:
        return "audit " + host.releases.with_reserve(lambda: write(host, request.kind, **fields))
    except OSError as error:
        return f"warning: the audit has no entry of this: {error}"


def has(host: Host, record: Record) -> bool:
    """Whether the end of the latest activation of a release is in the audit."""
    request = record.request
    if not request or not request.id:
        return False
    return any((each.get("id"), each.get("release")) == (request.id, record.release) for each in last(host, 1000))


def last(host: Host, count: int = 10) -> list[dict[str, Any]]:
    """The last entries, oldest first. A damaged line is left out."""
    try:
        lines = read_regular(host.releases.root / FILE, last_bytes=LAST_BYTES).splitlines()
    except (OSError, SlipwayError):
        return []
    entries = []
    for line in lines[-count:]:
        try:
            entries.append(json.loads(line))
        except ValueError:
            continue
    return [entry for entry in entries if isinstance(entry, dict)]
