"""Asking for an activation and following it.

The engine runs as a unit of its own, so whoever asked may go away: a lost connection, a cancelled job or a closed
laptop does not stop a deploy half-way.
"""

import os
import time
import uuid
from typing import Any

from slipway import decision, lock
from slipway.errors import SlipwayError
from slipway.host import Host
from slipway.releases import Record, check_name, now

POLL_SECONDS = 0.05
ASK_SECONDS = 0.5
"""How often systemd is asked meanwhile: each time is a process of its own, and the app that starts needs the CPU."""
TIDY_SECONDS = 30
"""What an activation takes after its release is live, beside what its last requests may."""
UNFINISHED = {"requested", "running", "held", "live"}
"""The states of a request whose engine may still be there."""
REACHED = {
    "migrated": {"held", "live", "done"},
    "held": {"held", "live", "done"},
    "live": {"live", "done"},
    "done": {"done"},
}
"""The states of a request that are at or beyond a milestone."""


def caller() -> str:
    """Who asks, as far as the host can tell."""
    return f"{os.environ.get('USER', 'deploy')}@{origin() or 'this host'}"


def origin() -> str | None:
    """The address that the caller's connection comes from; None for somebody on the host itself."""
    connection = os.environ.get("SSH_CONNECTION", "").split()
    return connection[0] if connection else None


def activity(host: Host) -> dict[str, Any] | None:
    """Who holds the lock, or None.

    `tidying`: it is soon over. Its release is live and the old one finishes, or it mends what a killed engine left.
    """
    holder = lock.holder(host.lock_file)
    if holder is None:
        return None
    release = str(holder.get("release"))
    tidying = release == lock.MENDS or host.releases.known(release).request.get("state") == "live"
    return holder | {"tidying": tidying}


def request(host: Host, release: str, kind: str, by: str, **options: Any) -> Record:
    """Start the engine for a release. One that is live already and only tidies up is waited for.

    `options`: lock_wait (seconds to queue behind another activation), hold (seconds to wait to be confirmed), migrate
    (False: another host runs the migrations), watch (False: do not compare it with the release before it).

    Raises:
        UsageError: the name is not one.
        LockedError: another activation is running.
        SlipwayError: the release is not here, or the engine does not start.
    """
    record = host.releases.record(check_name(release))
    if not host.releases.path(release).is_dir():
        raise SlipwayError(f"release {release} has no files on this host: ship it under a new name")
    # The engine itself waits for what is being mended.
    if (holder := activity(host)) is not None and holder.get("release") != lock.MENDS:
        if not options.get("lock_wait") and (not holder["tidying"] or holder["release"] == release):
            raise lock.refuse(holder)
        options["lock_wait"] = max(options.get("lock_wait", 0), host.config.request_timeout + TIDY_SECONDS)
    unit = f"deploy@{release}.service"
    if record.request.get("state") in UNFINISHED:
        # The record of an engine that was killed is written until its unit has ended.
        while host.systemd.state(unit).leaving:
            time.sleep(POLL_SECONDS)
        record = host.releases.record(release)
    decision.forget(host, release)
    asked = {"id": uuid.uuid4().hex, "kind": kind, "by": by, "from": origin(), "at": now(), "state": "requested"}
    record.request = asked | options
    host.releases.save(record)
    if said := host.systemd.start(unit):
        raise SlipwayError(f"the engine did not start: {said}")
    return record


def wait(host: Host, release: str, until: str) -> Record:
    """Wait until an activation has `migrated`, is `held`, `live` or `done`.

    Raises:
        SlipwayError: it failed, with the cause; or the engine died.
    """
    reached = REACHED[until]
    unit = f"deploy@{release}.service"
    asked, ended = 0.0, False
    while True:
        # In this order: an engine that ends between the two looks has written its record before.
        if time.monotonic() - asked > ASK_SECONDS:
            asked, ended = time.monotonic(), host.systemd.state(unit).ended
        record = host.releases.record(release)
        state = record.request.get("state")
        if state in reached or (until == "migrated" and (state == "running" and record.phase not in {None, "migrate"})):
            return record
        if state == "failed":
            raise SlipwayError(failure(host, record))
        if ended:
            said = "\n".join(f"  {line}" for line in host.systemd.journal(unit, 15))
            raise SlipwayError(
                f"the engine ended in phase {record.phase or 'start'} without a result, and what it left was not "
                f"mended: `slipway recover` or the next deploy does that. It said last:\n{said}"
            )
        time.sleep(POLL_SECONDS)


def confirm(host: Host, release: str) -> None:
    """Let a release that is held become the one that stays.

    Raises:
        SlipwayError: it is neither held nor live.
    """
    record = host.releases.record(check_name(release))
    state = record.request.get("state")
    if state == "held":
        decision.confirm(host, release)
    elif state not in REACHED["live"] or host.releases.current() != release:
        raise SlipwayError(f"release {release} is not held: {record.cause or f'its activation is {state}'}")


def abort(host: Host, release: str, by: str, reason: str) -> str:
    """Take a release back, however far it came. Returns what was done, in words.

    Raises:
        SlipwayError: it is live and there is nothing to go back to, or the way back failed.
    """
    record = host.releases.known(check_name(release))
    if not host.systemd.state(unit := f"deploy@{release}.service").ended:
        decision.withdraw(host, release, reason)
        if said := host.systemd.stop(unit, timeout=900):
            raise SlipwayError(f"the engine did not take {release} back ({said}): `slipway recover` does")
        record = host.releases.known(release)
    if host.releases.current() != release:
        return f"{release} is not live here: nothing to take back" if record.state != "failed" else "taken back"
    if not record.previous:
        raise SlipwayError(f"{release} is live, and there was nothing before it to go back to")
    request(host, record.previous, "rollback", by, lock_wait=60)
    wait(host, record.previous, "live")
    return f"went back to {record.previous}"


def failure(host: Host, record: Record) -> str:
    """What a person is told of a failed activation."""
    live = host.releases.current()
    serving = f"{live} is live and never stopped serving" if live else "no release is live"
    return f"release {record.release} failed in {record.cause}\n{serving}."


def summary(record: Record) -> str:
    """One line on an activation that went well."""
    phases = ", ".join(f"{phase['name']} {phase['seconds']:.2f} s" for phase in record.phases)
    return f"{record.release} is live" + (f" ({phases})" if phases else "")
