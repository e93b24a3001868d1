"""Run the live release with another number of web workers, until the next deploy or reboot.

The number is a drop-in of the instance in /run, which scale@.service writes as root, so that crashes leave it. The
server is restarted: systemd holds its socket, so requests wait.
"""

import re
from pathlib import Path

from slipway.engine import instances, lock, restart
from slipway.engine.errors import SystemdError
from slipway.engine.files import read_regular
from slipway.engine.host import Host
from slipway.engine.lock import Holder, Purpose
from slipway.engine.releases import now
from slipway.model.errors import SlipwayError

FILE = "60-workers.conf"


def workers(host: Host, release: str) -> int | None:
    """The number of workers that a release was scaled to, None if it was not."""
    try:
        text = read_regular(_drop_in(host, release))
    except (OSError, SlipwayError):
        return None
    found = re.search(r"^Environment=WEB_CONCURRENCY=(\d+)$", text, re.MULTILINE)
    return int(found[1]) if found else None


def scale(host: Host, count: int | None, by: str) -> str:
    """Scale the live release. `count` None: to the number that provisioning gave. Returns the release.

    Raises:
        LockedError: a deploy is under way.
        SlipwayError: there is no live release, or it does not run with so many; then it runs with as many as before.
    """
    release = host.releases.current()
    if release is None:
        raise SlipwayError("there is no live release to scale: deploy one")
    with lock.held(host.lock_file, Holder(Purpose.SCALE, release, by, since=now())):
        _check_connections(host, release, count)
        before = workers(host, release)
        try:
            _run_with(host, release, count)
        except SlipwayError as error:
            failed = f"{release} does not run with {count or 'the default number of'} workers"
            try:
                _run_with(host, release, before)
            except SlipwayError as undone:
                raise SlipwayError(
                    f"{failed}: {error}. Nor does it with as many as before: {undone}. See `slipway logs`; "
                    "`slipway rollback` returns to the release before"
                ) from None
            raise SlipwayError(
                f"{failed}, and has as many as before: {error}. See `slipway logs`, then type a smaller number"
            ) from None
    return release


def reset(host: Host, release: str) -> None:
    """Forget the number of a release that is about to start.

    Raises:
        SystemdError: scale@.service failed.
    """
    if workers(host, release) is not None:
        _write(host, release, None)


def _check_connections(host: Host, release: str, count: int | None) -> None:
    most = host.systemd.environment(instances.service(release)).get("DATABASE_CONNECTIONS", "")
    if count and most.isdigit() and count > int(most):
        raise SlipwayError(
            f"{count} workers cannot share {most} connections to the database (DATABASE_CONNECTIONS): type "
            f"workers={most} or less"
        )


def _run_with(host: Host, release: str, count: int | None) -> None:
    _write(host, release, count)
    restart.web(host, release)


def _write(host: Host, release: str, count: int | None) -> None:
    try:
        host.systemd.start(f"scale@{release}:{count or 0}.service")
    except SystemdError as error:
        raise SystemdError(f"{error} (`journalctl -u 'scale@*'`; a host of an earlier version: provision it)") from None


def _drop_in(host: Host, release: str) -> Path:
    return host.runtime_units / f"{instances.service(release)}.d" / FILE
