"""Asking for an activation and following it.

The engine runs as a unit of its own, so whoever asked may go away: a lost connection, a cancelled job or a closed
laptop does not stop a deploy half-way.
"""

import os
import time
import uuid

from slipway import lock
from slipway.errors import SlipwayError
from slipway.host import Host
from slipway.releases import Record, check_name, now

POLL_SECONDS = 0.05


def caller() -> str:
    """Who asks, as far as the host can tell."""
    connection = os.environ.get("SSH_CONNECTION", "").split()
    return f"{os.environ.get('USER', 'deploy')}@{connection[0] if connection else 'this host'}"


def request(host: Host, release: str, kind: str, by: str) -> Record:
    """Start the engine for a release.

    Raises:
        UsageError: the name is not one.
        LockedError: another activation is running.
        SlipwayError: the release is not here, or the engine does not start.
    """
    record = host.releases.record(check_name(release))
    if not host.releases.path(release).is_dir():
        raise SlipwayError(f"release {release} has no files on this host: ship it under a new name")
    if (described := lock.holder(host.lock_file)) is not None:
        raise lock.refuse(described)
    record.request = {"id": uuid.uuid4().hex, "kind": kind, "by": by, "at": now(), "state": "requested"}
    host.releases.save(record)
    unit = f"deploy@{release}.service"
    if said := host.systemd.start(unit):
        raise SlipwayError(f"the engine did not start: {said}")
    return record


def wait(host: Host, release: str, until: str) -> Record:
    """Wait until an activation is `live` or `done`.

    Raises:
        SlipwayError: it failed, with the cause; or the engine died.
    """
    reached = {"live": {"live", "done"}, "done": {"done"}}[until]
    unit = f"deploy@{release}.service"
    while True:
        # In this order: an engine that ends between the two looks has written its record before.
        ended = host.systemd.state(unit).ended
        record = host.releases.record(release)
        state = record.request.get("state")
        if state in reached:
            return record
        if state == "failed":
            raise SlipwayError(failure(host, record))
        if ended:
            said = "\n".join(f"  {line}" for line in host.systemd.journal(unit, 15))
            raise SlipwayError(
                f"the engine ended in phase {record.phase or 'start'} without a result; `slipway recover` or the next "
                f"deploy mends what it left. It said last:\n{said}"
            )
        time.sleep(POLL_SECONDS)


def failure(host: Host, record: Record) -> str:
    """What a person is told of a failed activation."""
    live = host.releases.current()
    serving = f"{live} is live and never stopped serving" if live else "no release is live"
    return f"release {record.release} failed in {record.cause}\n{serving}."


def summary(record: Record) -> str:
    """One line on an activation that went well."""
    phases = ", ".join(f"{phase['name']} {phase['seconds']:.2f} s" for phase in record.phases)
    return f"{record.release} is live" + (f" ({phases})" if phases else "")
