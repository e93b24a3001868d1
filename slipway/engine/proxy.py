"""`python -m slipway.engine.proxy RELEASE`, for proxy@.service: takes connections to the port on which an app listens.

It runs in the app's own network, where each of its ports is the app's.
"""

import os
import sys
import time

from slipway.engine.releases import Releases
from slipway.model import listeners
from slipway.model.names import check_release

PROGRAM = "/usr/lib/systemd/systemd-socket-proxyd"
CONNECTIONS = 8192
POLL_SECONDS = 0.05


def port(releases: Releases, release: str) -> int:
    """The port that requests go to, as the engine chose: the best one for a release of an engine that wrote none."""
    return releases.port(release) or releases.ports(release)[0]


def target(number: int) -> str | None:
    """Where to connect to a port of this network; None if nothing listens on it."""
    found = [each for each in listeners.listening(listeners.tcp_sockets()) if each.port == number]
    if not found:
        return None
    # Without brackets, also for IPv6: the program splits at the last colon.
    return f"{found[0].reached_at}:{number}"


def main() -> None:
    """Wait until the app listens, and become the proxy.

    Raises:
        SlipwayError: the argument is not a release.
    """
    number = port(Releases(), check_release(sys.argv[1]))
    while (to := target(number)) is None:
        time.sleep(POLL_SECONDS)
    os.execv(PROGRAM, [PROGRAM, f"--connections-max={CONNECTIONS}", to])


if __name__ == "__main__":
    main()
