"""Restart the live release: its web server, whose socket systemd holds, so that requests wait; then its processes."""

import time

from slipway.engine import instances, lock
from slipway.engine.errors import SystemdError
from slipway.engine.host import Host
from slipway.engine.lock import Holder, Purpose
from slipway.engine.probe import get_from_socket
from slipway.engine.releases import now
from slipway.model.errors import SlipwayError

POLL_SECONDS = 0.1
SETTLE_SECONDS = 3.0
"""Seconds that a process has to stay up: none tells when it is ready (as in `phases`)."""
STOP_MARGIN = 20
"""Seconds that systemd may take longer for a restart than the longest request."""
PROCESS_SECONDS = 24 * 3600
"""Longer than any stop of a process: systemd bounds it (app_process_stop_timeout)."""


def restart(host: Host, by: str) -> str:
    """Restart all that the live release runs on this host, one unit after another. Returns the release.

    Raises:
        LockedError: a deploy is under way. Nothing was restarted.
        SlipwayError: there is no live release, or a process does not run again; those after it were not restarted.
    """
    live = host.releases.current()
    with lock.held(host.lock_file, Holder(Purpose.RESTART, live, by, since=now())):
        release = host.releases.current()  # another one if a deploy has ended just now
        if release is None:
            raise SlipwayError("there is no live release to restart: deploy one")
        try:
            web(host, release)
            for unit in instances.processes(host, release) + instances.singletons(host, release):
                _process(host, unit)
        except SlipwayError as error:
            raise SlipwayError(
                f"{release} does not run again: {error}. See `slipway logs`; `slipway rollback` returns to the release "
                "before"
            ) from None
    return release


def web(host: Host, release: str) -> None:
    """Restart the web server of a release, and wait until it is ready.

    Raises:
        SystemdError: systemd did not restart it in time.
        SlipwayError: it crashes, or is not ready in time.
    """
    service, site = instances.service(release), host.site
    host.systemd.restart(service, timeout=site.request_timeout + STOP_MARGIN)
    deadline = time.monotonic() + site.start_timeout
    answer = None
    while time.monotonic() < deadline:
        if host.systemd.state(service).crashed:
            raise SlipwayError("the web server crashed while starting")
        socket = host.releases.socket(release)
        answer = get_from_socket(socket, site.ready_path, site.probe_host, scheme=site.probe_scheme)
        if answer.good:
            return
        time.sleep(POLL_SECONDS)
    raise SlipwayError(f"it was not ready within {site.start_timeout} s; last response: {answer}")


def _process(host: Host, unit: str) -> None:
    name = instances.display_name(unit)
    try:
        host.systemd.restart(unit, timeout=PROCESS_SECONDS)
    except SystemdError as error:
        raise SlipwayError(f"process {name} did not start ({error.summary})") from None
    deadline = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < deadline:
        state = host.systemd.state(unit)
        if state.crashed or not state.running:
            raise SlipwayError(f"process {name} crashed")
        time.sleep(POLL_SECONDS)
