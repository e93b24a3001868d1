"""Where requests go: the slices' links, and waiting for requests that were already sent."""

import time
from collections.abc import Sequence

from slipway.engine import ways
from slipway.engine.host import Host
from slipway.engine.releases import NOTHING, SLICES

DRAIN_SECONDS = 2.2
"""nginx keeps a connection to the app for keepalive_time + keepalive_timeout, two seconds, after a cutover."""
POLL_SECONDS = 0.1


def point(host: Host, release: str | None, slices: Sequence[str] = SLICES) -> bool:
    """Point slices at a release, or at nothing. Returns whether that changed anything.

    Raises:
        SystemdError: a link is not changed.
    """
    changed = [name for name in slices if host.releases.slice(name) != release]
    for name in changed:
        host.systemd.start(f"point-{name}@{release or NOTHING}.service")
    return bool(changed)


def drain(host: Host, release: str, since: float) -> None:
    """Wait until no new request can reach a release, and none is left that its stop would lose.

    `since` is when traffic was pointed elsewhere, in monotonic seconds. It may take as long as one request may: a
    release that is wedged never empties its queue.
    """
    time.sleep(max(0.0, since + DRAIN_SECONDS - time.monotonic()))
    deadline = time.monotonic() + host.site.request_timeout
    empty = 0
    while empty < 2 and time.monotonic() < deadline:
        waits = ways.queued(host, release) or ways.unfinished(host, release)
        empty = empty + 1 if waits == 0 else 0
        time.sleep(POLL_SECONDS)
