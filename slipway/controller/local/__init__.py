"""Hosts on this machine: systemd containers that stand for a VM, reached over real SSH. Standard library only."""

from slipway.model.errors import SlipwayError


class HostError(SlipwayError):
    """A local host cannot be made or reached; the message says why."""
