"""Making everything agree with `current`: the slices, the instances and the records.

It runs at boot, which is how the live release comes back, when an engine was killed, and at the start of every
activation, which heals what nobody mended. Idempotent; whoever calls it holds the lock.
"""

import time

from slipway import audit, decision, instances, lock
from slipway.errors import LockedError, SlipwayError
from slipway.host import Host
from slipway.releases import Record, now
from slipway.traffic import drain, point

MIGRATION_GRACE = 10
"""Seconds that a migration whose engine was killed gets to end by itself when it is stopped."""


def mend(host: Host, by: str, boot: bool = False) -> list[str]:
    """`recover`, with the lock. Returns what had to be mended, in words.

    Raises:
        LockedError: an activation is running.
        SlipwayError: the live release cannot be brought back.
    """
    with lock.held(host.lock_file, {"release": lock.MENDS, "by": by, "since": now()}):
        return recover(host, boot=boot)


def mend_killed(host: Host, release: str, by: str) -> list[str]:
    """Mend what the engine of a release left when it was killed, unless whoever has the lock meanwhile does that.

    Returns what was mended, in words.

    Raises:
        SlipwayError: the live release cannot be brought back.
    """
    mended: list[str] = []
    while True:
        try:
            mended = mend(host, by)
        except LockedError:
            # Until somebody has mended it: the next activation begins with that, a shipment that makes room does not.
            # With no phase it was never its turn.
            holder = lock.holder(host.lock_file) or {}
            if host.releases.known(release).phase or holder.get("release") == lock.MAKES_ROOM:
                continue
        break
    record = host.releases.known(release)
    if record.request.get("state") == "requested":
        record.request["state"] = "failed"
        record.cause = f"start: it ended before it began: {decision.reason(host, release)}"
        mended.append(audit.activation(host, record, "killed", seconds=0, old=host.releases.current()))
        host.releases.save(record)
    return mended


def recover(host: Host, starting: str | None = None, boot: bool = False) -> list[str]:
    """Make the host agree with `current`. Returns what had to be mended, in words.

    `starting` is the release about to be activated: what is left of an earlier try of it is stopped, too. At boot
    nothing is waited for.

    Raises:
        SlipwayError: the live release cannot be brought back; everything else was mended. Not when another one is
            about to be activated, which is the way out.
    """
    mended: list[str] = []
    current = host.releases.current()
    _stop_migrations(host, mended)
    problem = _serve(host, current, boot, mended) if current else None
    _point_slices(host, current, mended)
    # Traffic may have left the others this instant: just now, or by an engine that was killed after its cutover.
    since = None if boot else time.monotonic()
    leftovers = {release: units for release, units in sorted(instances.loaded(host).items()) if release != current}
    if _stop_singles(host, leftovers, current, mended) and current and not problem:
        _start(host, instances.singles(host, current), boot, mended)
    _stop_leftovers(host, leftovers, starting, since, mended)
    _close_records(host, current, mended)
    if problem:
        if starting in {None, current}:
            raise SlipwayError(f"{problem}: deploy another release, or `slipway rollback`")
        mended.append(f"{problem}; going on")
    return mended


def _stop_migrations(host: Host, mended: list[str]) -> None:
    for unit in host.systemd.loaded("migrate@*.service"):
        host.systemd.stop(unit, timeout=MIGRATION_GRACE + 30)
        mended.append(f"stopped {unit}, whose engine was gone")


def _serve(host: Host, current: str, boot: bool, mended: list[str]) -> str | None:
    """Returns why the live release cannot be brought back, None if it is there."""
    service, socket = instances.service(current), instances.socket(current)
    if not host.releases.path(current).is_dir():
        return f"the live release {current} has no files any more"
    if not (host.systemd.state(service).running and host.systemd.state(socket).running):
        # The socket alone first: from then on requests wait instead of failing.
        for unit in (socket, service):
            if said := host.systemd.start(unit, wait=not boot):
                return f"the live release does not start: {unit}: {said}"
        mended.append(f"started {service}")
    _start(host, instances.processes(host, current), boot, mended)
    return None


def _start(host: Host, units: list[str], boot: bool, mended: list[str]) -> None:
    """Start processes that are down. One that does not start is no reason not to serve."""
    for unit in units:
        if not host.systemd.state(unit).running:
            said = host.systemd.start(unit, wait=not boot)
            mended.append(f"{unit} does not start: {said}" if said else f"started {unit}")


def _point_slices(host: Host, current: str | None, mended: list[str]) -> None:
    if point(host, current):
        mended.append(f"pointed all traffic at {current or 'nothing'}")


def _stop_singles(host: Host, leftovers: dict[str, list[str]], current: str | None, mended: list[str]) -> bool:
    """Stop what runs once in another release than the live one, whose own may start only after that.

    Returns whether all of them have ended. Those that have are no leftovers any more.
    """
    ended = True
    for release, units in leftovers.items():
        singles = [unit for unit in instances.singles(host, release) if unit in units]
        if not singles:
            continue
        if said := host.systemd.stop(*singles):
            mended.append(f"{release} goes on with what may run once only, so {current} does not start it: {said}")
            ended = False
        else:
            leftovers[release] = [unit for unit in units if unit not in singles]
    return ended


def _stop_leftovers(
    host: Host, leftovers: dict[str, list[str]], starting: str | None, since: float | None, mended: list[str]
) -> None:
    for release, units in leftovers.items():
        if not units:
            continue
        wait = release == starting  # which waits for its end, to start again
        services = [unit for unit in units if unit.endswith(".service")]
        if services and all(host.systemd.state(unit).leaving for unit in services):
            # Retired, and finishing what it has; its socket goes last.
            if wait:
                instances.stop(host, release)
            continue
        if since is not None and instances.socket(release) in units:
            drain(host, release, since)
        said = instances.stop(host, release, wait=wait)
        mended.append(f"app@{release} does not stop: {said}" if said else f"stopped app@{release}")


def _close_records(host: Host, current: str | None, mended: list[str]) -> None:
    for record in host.releases.all():
        if record.phase is None and (record.state != "live" or record.release == current):
            continue
        if record.release == current:
            record.state, record.healthy, record.live_at = "live", True, record.live_at or now()
            _tell(host, record, "done", mended)
        elif record.state == "activating":
            # As healthy as it was before: that the engine was killed says nothing of the release.
            record.state = "failed"
            record.cause = f"{record.phase}: the engine was killed; everything was taken back"
            _tell(host, record, "killed", mended)
        else:
            record.state, record.retired_at = "retired", record.retired_at or now()
        record.phase = None
        if record.request.get("state") in {"running", "held", "live"}:
            record.request["state"] = "done" if record.release == current else "failed"
        host.releases.save(record)


def _tell(host: Host, record: Record, ended: str, mended: list[str]) -> None:
    mended.append(f"closed the record of {record.release}, whose engine was killed in {record.phase}")
    mended.append(audit.activation(host, record, ended, seconds=0, old=record.request.get("before")))
