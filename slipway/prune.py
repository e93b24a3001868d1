"""Removing the releases that are too many."""

from collections.abc import Collection

from slipway import instances
from slipway.host import Host


def prune(host: Host, in_use: Collection[str] = ()) -> None:
    """Remove releases until as many are left as the site keeps; never one that runs or is `in_use`.

    Whoever calls it holds the lock.
    """
    for release in host.releases.prunable(host.config.keep, instances.in_use(host) | set(in_use)):
        host.releases.remove(release)
