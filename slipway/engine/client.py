"""Requesting an activation and following it.

The engine runs as a unit of its own, so the client may go away: a lost connection, a cancelled job or a closed laptop
does not stop a deploy half-way.
"""

import os
import time
import uuid
from dataclasses import replace

from slipway.engine import decision, lock
from slipway.engine.errors import SystemdError
from slipway.engine.host import Host
from slipway.engine.lock import Holder, Purpose
from slipway.engine.releases import now
from slipway.model.errors import SlipwayError
from slipway.model.names import check_release
from slipway.model.record import Record, Request
from slipway.model.states import ActivationState, Kind, ReleaseState

POLL_SECONDS = 0.05
UNIT_POLL_SECONDS = 0.5
"""Between two looks at the engine's unit: each is a process of its own, and the app that starts needs the CPU."""
TIDY_SECONDS = 30
"""What an activation takes after its release is live, beside what its last requests may."""
REACHED = {
    "migrated": {ActivationState.HELD, ActivationState.LIVE, ActivationState.DONE},
    "held": {ActivationState.HELD, ActivationState.LIVE, ActivationState.DONE},
    "live": {ActivationState.LIVE, ActivationState.DONE},
    "done": {ActivationState.DONE},
}
"""The states of an activation that are at or beyond a milestone."""


def caller() -> str:
    """Who runs the command, as far as the host can tell."""
    return f"{os.environ.get('USER', 'deploy')}@{origin() or 'this host'}"


def origin() -> str | None:
    """The address that the caller's connection comes from; None on the host itself."""
    connection = os.environ.get("SSH_CONNECTION", "").split()
    return connection[0] if connection else None


def is_tidying(host: Host, holder: Holder) -> bool:
    """Whether the lock is soon free: its release is live and the old one is retired, or the host is recovered."""
    if holder.purpose is Purpose.RECOVER:
        return True
    return bool(holder.release) and host.releases.known(str(holder.release)).activation is ActivationState.LIVE


def request(host: Host, release: str, request: Request) -> Record:
    """Start the engine for a release. An activation whose release is live and that only tidies up is waited for.

    Raises:
        UsageError: the name is not one.
        LockedError: another activation is running.
        SlipwayError: the release is not here, or the engine does not start.
    """
    record = host.releases.record(check_release(release))
    if not host.releases.path(release).is_dir():
        raise SlipwayError(f"release {release} has no files on this host: ship it under a new name")
    # The engine itself waits for a recovery.
    holder = lock.holder(host.lock_file)
    if holder is not None and holder.purpose is not Purpose.RECOVER:
        if not request.lock_wait and (not is_tidying(host, holder) or holder.release == release):
            raise lock.locked_error(holder)
        lock_wait = max(request.lock_wait, host.site.request_timeout + TIDY_SECONDS)
        request = replace(request, lock_wait=lock_wait)
    unit = f"deploy@{release}.service"
    if record.activation and not record.activation.ended:
        # The record of an engine that was killed is written until its unit has ended.
        while host.systemd.state(unit).stopping:
            time.sleep(POLL_SECONDS)
        record = host.releases.record(release)
    decision.forget(host, release)
    record.request = replace(request, id=uuid.uuid4().hex, origin=origin(), requested_at=now())
    host.releases.save(record)
    try:
        host.systemd.start(unit)
    except SystemdError as error:
        raise SlipwayError(f"the engine did not start: {error}") from None
    return record


def wait(host: Host, release: str, until: str) -> Record:
    """Wait until an activation has `migrated`, is `held`, `live` or `done`.

    Raises:
        SlipwayError: it failed, with the cause; or the engine died.
    """
    reached = REACHED[until]
    unit = f"deploy@{release}.service"
    looked_at, ended = 0.0, False
    while True:
        # In this order: an engine that ends between the two looks has written its record before.
        if time.monotonic() - looked_at > UNIT_POLL_SECONDS:
            looked_at, ended = time.monotonic(), host.systemd.state(unit).ended
        record = host.releases.record(release)
        if record.activation in reached or (until == "migrated" and _has_migrated(record)):
            return record
        if record.activation is ActivationState.FAILED:
            raise SlipwayError(failure(host, record))
        if ended:
            lines = "\n".join(f"  {line}" for line in host.systemd.journal(unit, 15))
            raise SlipwayError(
                f"the engine ended in phase {record.phase or 'start'} without a result, and the host was not mended: "
                f"`slipway recover` or the next deploy does that. Its last lines:\n{lines}"
            )
        time.sleep(POLL_SECONDS)


def _has_migrated(record: Record) -> bool:
    return record.activation is ActivationState.RUNNING and record.phase not in {None, "backup", "migrate"}


def confirm(host: Host, release: str) -> None:
    """Let a release that is held become the one that stays.

    Raises:
        SlipwayError: it is neither held nor live.
    """
    record = host.releases.record(check_release(release))
    state = record.activation
    if state is ActivationState.HELD:
        decision.confirm(host, release)
    elif state not in REACHED["live"] or host.releases.current() != release:
        reason = record.cause or f"its activation is {state or 'not requested'}"
        raise SlipwayError(f"release {release} is not held: {reason}")


def abort(host: Host, release: str, by: str, reason: str) -> str:
    """End the activation of a release, however far it came, and return to the one before. Returns the result, in words.

    Raises:
        SlipwayError: it is live and no release was before it, or the old one could not be brought back.
    """
    record = host.releases.known(check_release(release))
    if not host.systemd.state(unit := f"deploy@{release}.service").ended:
        decision.withdraw(host, release, reason)
        try:
            host.systemd.stop(unit, timeout=900)
        except SystemdError as error:
            raise SlipwayError(f"the engine did not abort {release} ({error}): `slipway recover` does") from None
        record = host.releases.known(release)
    if host.releases.current() != release:
        return "aborted" if record.state is ReleaseState.FAILED else f"{release} is not live here: nothing to abort"
    if not record.previous:
        raise SlipwayError(f"{release} is live, and no release was live before it on this host")
    request(host, record.previous, Request(Kind.ROLLBACK, by, lock_wait=60))
    wait(host, record.previous, "live")
    return f"rolled back to {record.previous}"


def failure(host: Host, record: Record) -> str:
    """The message of a failed activation, for people."""
    live = host.releases.current()
    serving = f"{live} is live and never stopped serving" if live else "no release is live"
    return f"release {record.release} failed in {record.cause}\n{serving}."


def summary(record: Record) -> str:
    """One line on an activation that succeeded."""
    phases = ", ".join(f"{phase.name} {phase.seconds:.2f} s" for phase in record.phases)
    return f"{record.release} is live" + (f" ({phases})" if phases else "")
