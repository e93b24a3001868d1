"""Making everything agree with `current`: the slices, the instances and the records.

It runs at boot, which is how the live release comes back, and at the start of every activation, which is how one
that was killed heals. Idempotent; whoever calls it holds the lock.
"""

import time

from slipway import audit, instances
from slipway.errors import SlipwayError
from slipway.host import Host
from slipway.releases import now
from slipway.traffic import drain, point

MIGRATION_GRACE = 10
"""Seconds that a migration whose engine was killed gets to end by itself when it is stopped."""


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
    flipped = _point_slices(host, current, mended)
    _stop_leftovers(host, current, starting, None if boot else flipped, mended)
    if current and not problem:
        # After those of other releases have been stopped: these run once.
        _start(host, instances.singles(host, current), boot, mended)
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


def _point_slices(host: Host, current: str | None, mended: list[str]) -> float | None:
    """Returns when traffic was pointed elsewhere, None if it was right."""
    if not point(host, current):
        return None
    mended.append(f"pointed all traffic at {current or 'nothing'}")
    return time.monotonic()


def _stop_leftovers(
    host: Host, current: str | None, starting: str | None, since: float | None, mended: list[str]
) -> None:
    for release, units in sorted(instances.loaded(host).items()):
        if release == current:
            continue
        # A new start of the same release waits for its end, and so does what runs once, before the live one's starts.
        wait = release == starting or not set(units).isdisjoint(instances.singles(host, release))
        services = [unit for unit in units if unit.endswith(".service")]
        if services and all(host.systemd.state(unit).leaving for unit in services):
            # Retired, and finishing what it has; its socket goes last.
            if wait:
                instances.stop(host, release)
            continue
        if since is not None and instances.socket(release) in units:
            drain(host, release, since)
        instances.stop(host, release, wait=wait)
        mended.append(f"stopped app@{release}")


def _close_records(host: Host, current: str | None, mended: list[str]) -> None:
    for record in host.releases.all():
        if record.phase is None and (record.state != "live" or record.release == current):
            continue
        if record.release == current:
            record.state, record.healthy, record.live_at = "live", True, record.live_at or now()
        elif record.state == "activating":
            # As healthy as it was before: that the engine was killed says nothing of the release.
            record.state = "failed"
            record.cause = f"{record.phase}: the engine was killed; everything was taken back"
            audit.activation(host, record, "killed", seconds=0, old=current)
            mended.append(f"closed the record of {record.release}, whose engine was killed in {record.phase}")
        else:
            record.state, record.retired_at = "retired", record.retired_at or now()
        record.phase = None
        if record.request.get("state") in {"running", "held", "live"}:
            record.request["state"] = "done" if record.release == current else "failed"
        host.releases.save(record)
