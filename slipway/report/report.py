"""Put a host's last day or week together as one JSON document."""

import os
import time
from typing import Any

from slipway import __version__
from slipway.engine import audit
from slipway.engine.host import Host
from slipway.model import owner
from slipway.model.period import Period
from slipway.report import activations, machine, usage
from slipway.report.log import Log
from slipway.report.samples import Bin, Samples
from slipway.report.traffic import Traffic

NICENESS = 10
"""The app and nginx come first: a week's log is some seconds of computing."""


def report(host: Host, period: Period) -> dict[str, Any]:
    """Return what happened on a host in the last day or week.

    Raises:
        OSError: nginx's access log cannot be read.
    """
    os.nice(NICENESS)
    now = time.time()
    begin = now - period.seconds
    done = activations.read(audit.last(host, activations.ENTRIES))
    live = host.releases.current()
    log = Log(host.access_log)
    samples = Samples(begin, period.bin_seconds, [Bin() for _ in range(period.seconds // period.bin_seconds)])
    traffic = Traffic(samples, activations.changes(done, live or activations.UNKNOWN))
    traffic.read(log.lines(begin))
    memory = machine.memory(machine.MEMORY.read_text())
    return {
        "version": __version__,
        "host": host.name,
        "site": owner.load(host.owner),
        "begin": begin,
        "live": live,
        "traffic": traffic.to_json(),
        "unread_files": log.unread,
        "activations": [each.to_json() for each in done if each.ended_at >= begin],
        "restarts": machine.restarts(host, begin),
        "memory": memory,
        "usage": usage.read(samples, memory["total"]),
        "units": machine.units(host),
        "disks": machine.disks(host),
    }
