"""Removing the releases that are too many."""

from collections.abc import Collection

from slipway.engine import instances
from slipway.engine.host import Host
from slipway.engine.releases import remove_tree


def remove(host: Host, release: str) -> None:
    """Remove a release, of which nothing runs.

    Raises:
        SystemdError: its files are not removed.
    """
    host.releases.forget(release)
    host.systemd.start(f"remove@{release}.service")
    # Still there if the host went down after the release was sealed.
    remove_tree(host.releases.partial(release))


def prune(host: Host, in_use: Collection[str] = ()) -> None:
    """Remove releases until as many are left as the site keeps; never one that runs or is `in_use`.

    The caller holds the lock.

    Raises:
        SystemdError: the files of one are not removed.
    """
    running = instances.in_use(host)
    for release in host.releases.prunable(host.site.keep, running | set(in_use)):
        remove(host, release)
    for arrived in host.releases.arrived():
        remove_tree(arrived)
    # Units that run since before the release was sealed still have this one as their root.
    for unsealed in host.releases.unsealed():
        if unsealed.name not in running:
            remove_tree(unsealed)
