"""Making the slices, the units and the records agree with the link `current`.

It runs at boot, which is how the live release comes back, when an engine was killed, and at the start of every
activation, which heals what nothing else did. Idempotent; the caller holds the lock.
"""

import time

from slipway.engine import audit, decision, instances, lock
from slipway.engine.errors import LockedError, SystemdError
from slipway.engine.host import Host
from slipway.engine.lock import Holder, Purpose
from slipway.engine.releases import now
from slipway.engine.traffic import drain, point
from slipway.model.errors import SlipwayError
from slipway.model.record import Record
from slipway.model.states import ActivationState, ReleaseState

MIGRATION_GRACE = 10
"""Seconds that a migration whose engine was killed gets to end by itself when it is stopped."""


def mend(host: Host, by: str, boot: bool = False) -> list[str]:
    """`recover`, with the lock. Returns what was mended, in words.

    Raises:
        LockedError: an activation is running.
        SlipwayError: the live release cannot be brought back.
    """
    with lock.held(host.lock_file, Holder(Purpose.RECOVER, by=by, since=now())):
        return recover(host, boot=boot)


def mend_killed(host: Host, release: str, by: str) -> list[str]:
    """Mend what the killed engine of a release left, unless the holder of the lock meanwhile does that.

    Returns what was mended, in words.

    Raises:
        SlipwayError: the live release cannot be brought back.
    """
    mended: list[str] = []
    while True:
        try:
            mended = mend(host, by)
        except LockedError:
            # Until it is mended: the next activation begins with that, a shipment that prunes does not. A release
            # without a phase was still in the queue.
            holder = lock.holder(host.lock_file)
            if host.releases.known(release).phase or (holder and holder.purpose is Purpose.PRUNE):
                continue
        break
    record = host.releases.known(release)
    if record.activation is ActivationState.REQUESTED:
        record.advance(ActivationState.FAILED)
        record.cause = f"start: it ended before it began: {decision.reason(host, release)}"
        mended.append(audit.activation(host, record, "killed", seconds=None, old=host.releases.current()))
        host.releases.save(record)
    return mended


def recover(host: Host, starting: str | None = None, boot: bool = False) -> list[str]:
    """Make the host agree with `current`. Returns what was mended, in words.

    `starting` is the release about to be activated: units of an earlier activation of it are stopped, too. At boot
    nothing is waited for.

    Raises:
        SlipwayError: the live release cannot be brought back; everything else was mended. Not when another one is
            about to be activated, which is the way out.
    """
    mended: list[str] = []
    current = host.releases.current()
    _stop_migrations(host, mended)
    problem = None
    try:
        if current:
            _serve(host, current, boot, mended)
    except SlipwayError as error:
        problem = error
    try:
        _point_slices(host, current, mended)
    except SystemdError as error:
        problem = problem or error
    # Traffic may have left the others this instant: just now, or by an engine that was killed after its cutover.
    since = None if boot else time.monotonic()
    leftovers = {release: units for release, units in sorted(instances.loaded(host).items()) if release != current}
    if _stop_singletons(host, leftovers, current, mended) and current and not problem:
        _start(host, instances.singletons(host, current), boot, mended)
    _stop_leftovers(host, leftovers, starting, since, mended)
    _close_records(host, current, mended)
    if problem:
        if starting in {None, current}:
            raise SlipwayError(f"{problem}: deploy another release, or `slipway rollback`")
        mended.append(f"{problem}; going on")
    return mended


def _stop_migrations(host: Host, mended: list[str]) -> None:
    for unit in host.systemd.loaded("migrate@*.service"):
        try:
            host.systemd.stop(unit, timeout=MIGRATION_GRACE + 30)
        except SystemdError as error:
            mended.append(f"{unit}, whose engine was gone, does not stop: {error}")
        else:
            mended.append(f"stopped {unit}, whose engine was gone")


def _serve(host: Host, current: str, boot: bool, mended: list[str]) -> None:
    """Start the live release where it is down.

    Raises:
        SlipwayError: it cannot be brought back.
    """
    service, units = instances.service(current), instances.web(host, current)
    if not host.releases.path(current).is_dir():
        raise SlipwayError(f"the live release {current} has no files any more")
    if not all(host.systemd.state(unit).running for unit in units):
        # The socket alone first: from then on requests wait instead of failing.
        for unit in units:
            try:
                host.systemd.start(unit, wait=not boot)
            except SystemdError as error:
                raise SlipwayError(f"the live release does not start: {unit}: {error}") from None
        mended.append(f"started {service}")
    _start(host, instances.processes(host, current), boot, mended)


def _start(host: Host, units: list[str], boot: bool, mended: list[str]) -> None:
    """Start processes that are down. The web server serves without one that does not start."""
    for unit in units:
        if host.systemd.state(unit).running:
            continue
        try:
            host.systemd.start(unit, wait=not boot)
        except SystemdError as error:
            mended.append(f"{unit} does not start: {error}")
        else:
            mended.append(f"started {unit}")


def _point_slices(host: Host, current: str | None, mended: list[str]) -> None:
    if point(host, current):
        mended.append(f"pointed all traffic at {current or 'nothing'}")


def _stop_singletons(host: Host, leftovers: dict[str, list[str]], current: str | None, mended: list[str]) -> bool:
    """Stop the singletons of other releases than the live one, whose own may start only after that.

    Returns whether all of them have ended. Those that have are no leftovers any more.
    """
    ended = True
    for release, units in leftovers.items():
        singletons = [unit for unit in instances.singletons(host, release) if unit in units]
        if not singletons:
            continue
        try:
            host.systemd.stop(*singletons)
        except SystemdError as error:
            mended.append(f"the singletons of {release} do not stop, so those of {current} do not start: {error}")
            ended = False
        else:
            leftovers[release] = [unit for unit in units if unit not in singletons]
    return ended


def _stop_leftovers(
    host: Host, leftovers: dict[str, list[str]], starting: str | None, since: float | None, mended: list[str]
) -> None:
    for release, units in leftovers.items():
        if not units:
            continue
        wait = release == starting  # it is about to start again
        services = [unit for unit in units if unit.endswith(".service")]
        # Retired, and finishing its answers. Its proxy stops after the web server, and its socket last.
        services = [unit for unit in services if unit != instances.proxy(release)] or services
        retired = bool(services) and all(host.systemd.state(unit).stopping for unit in services)
        if retired and not wait:
            continue
        if not retired and since is not None and instances.socket(release) in units:
            drain(host, release, since)
        try:
            instances.stop(host, release, wait=wait)
        except SystemdError as error:
            mended.append(f"app@{release} does not stop: {error}")
        else:
            mended += [f"stopped app@{release}"] * (not retired)


def _close_records(host: Host, current: str | None, mended: list[str]) -> None:
    for record in host.releases.all():
        if record.phase is None and (record.state is not ReleaseState.LIVE or record.release == current):
            continue
        if record.release == current:
            record.become(ReleaseState.LIVE)
            record.healthy, record.live_at = True, record.live_at or now()
            _tell(host, record, ActivationState.DONE, mended)
        elif record.state is ReleaseState.ACTIVATING:
            # As healthy as it was before: that the engine was killed says nothing of the release.
            record.become(ReleaseState.FAILED)
            record.cause = f"{record.phase}: the engine was killed; its phases were undone"
            _tell(host, record, "killed", mended)
        else:
            record.become(ReleaseState.RETIRED)
            record.retired_at = record.retired_at or now()
        record.phase = None
        if record.activation and record.activation.begun:
            record.advance(ActivationState.DONE if record.release == current else ActivationState.FAILED)
        host.releases.save(record)


def _tell(host: Host, record: Record, ended: str, mended: list[str]) -> None:
    mended.append(f"closed the record of {record.release}, whose engine was killed in {record.phase}")
    if audit.has(host, record):
        return
    old = record.request.replaces if record.request else None
    mended.append(audit.activation(host, record, ended, seconds=None, old=old))
