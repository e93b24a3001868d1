"""Filters: the files and sockets of nginx (slipway.units.nginx)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from slipway.units.nginx import inherited, sockets, staged


def nginx_staged(files: Mapping[str, str], names: Iterable[str], texts: Iterable[str], *, tls: str) -> dict[str, str]:
    """Return each path below /etc/nginx with its text. `names` and `texts`: of the generated files, in one order."""
    return staged(files, dict(zip(names, texts, strict=True)), tls=tls)


def nginx_sockets(ports: Iterable[Any], *, ipv6: bool) -> list[str]:
    """List where nginx listens."""
    return sockets([int(port) for port in ports], ipv6=ipv6)


class FilterModule:
    """What Ansible asks a file of filters for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name the filters."""
        return {"nginx_staged": nginx_staged, "nginx_sockets": nginx_sockets, "nginx_inherited": inherited}
