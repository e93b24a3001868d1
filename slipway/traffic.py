"""Where requests go: the slices' links, and waiting for what was already sent."""

import time
from collections.abc import Sequence

from slipway.host import Host
from slipway.probe import waiting
from slipway.releases import SLICES

DRAIN_SECONDS = 2.2
"""nginx keeps a connection to the app for keepalive_time + keepalive_timeout, two seconds, after a cutover."""
LOOK_SECONDS = 0.1


def point(host: Host, release: str | None, slices: Sequence[str] = SLICES) -> bool:
    """Point slices at a release, or at nothing. Returns whether that changed anything."""
    changed = [name for name in slices if host.releases.slice(name) != release]
    for name in changed:
        if release:
            host.releases.set_slice(name, release)
        else:
            host.releases.clear_slice(name)
    return bool(changed)


def drain(host: Host, release: str, since: float) -> None:
    """Wait until nothing new can reach a release and nothing is left in its socket's queue.

    `since` is when traffic was pointed elsewhere, in monotonic seconds. The queue may take as long as one request
    may: a release that is wedged never empties it.
    """
    time.sleep(max(0.0, since + DRAIN_SECONDS - time.monotonic()))
    deadline = time.monotonic() + host.config.request_timeout
    path, empty = host.releases.socket(release), 0
    while empty < 2 and time.monotonic() < deadline:
        empty = empty + 1 if waiting(path) == 0 else 0
        time.sleep(LOOK_SECONDS)
