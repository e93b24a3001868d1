"""Ports on 127.0.0.1 that a local host can publish."""

import json
import socket
from collections.abc import Iterator

from slipway.controller.local import HostError
from slipway.controller.local.docker import docker


def free_ports(first: int = 20000) -> Iterator[int]:
    """Yield ports, from `first` on, that no other host has and nobody listens on now.

    The default is below the range that outgoing connections use.

    Raises:
        HostError: there is none left.
    """
    reserved = _reserved_ports()
    for port in range(first, min(first + 10000, 65536)):
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in reserved:
            yield port
    raise HostError(f"No free port on 127.0.0.1 from {first} on. Stop a program that listens there.")


def _reserved_ports() -> set[int]:
    """Ports of every project's hosts: one that is stopped takes its own again when it starts."""
    hosts = docker("ps", "--all", "--quiet", "--filter", "label=slipway.system").split()
    if not hosts:
        return set()
    published = docker("container", "inspect", "--format", "{{json .HostConfig.PortBindings}}", *hosts)
    return {
        int(binding["HostPort"])
        for host in published.splitlines()
        for bindings in json.loads(host).values()
        for binding in bindings
    }
