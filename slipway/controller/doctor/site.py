"""Checks of a host's site as clients reach it: where its names lead, and its ports."""

import ipaddress
import socket
from collections.abc import Iterator
from contextlib import suppress

from slipway.controller.doctor.finding import Finding
from slipway.controller.doctor.way import Way, connect

RECORDS = {socket.AF_INET: "A", socket.AF_INET6: "AAAA"}


def checks(way: Way) -> Iterator[Finding]:
    """Yield the findings of every name and every port."""
    place = way.place
    names = [str(name) for name in way.values.get("nginx_server_names") or []]
    if not names:
        yield place.wrong("site", "nginx_server_names is empty", "nginx_server_names: [www.example.com], in all.yml")
        return
    reached = ""
    for name in names:
        if name.startswith((".", "*", "~")):
            yield place.skipped("site", f"{name} is a pattern of names")
            continue
        try:
            infos = socket.getaddrinfo(name, 80, type=socket.SOCK_STREAM)
        except OSError as error:
            fix = "point the site's name at the host: an A record, or AAAA for IPv6"
            yield place.wrong("site", f"{name} does not resolve ({error})", fix)
            continue
        yield _name(way, name, {str(info[4][0]): RECORDS[info[0]] for info in infos if info[0] in RECORDS})
        reached = reached or name
    if reached:
        yield from _ports(way, reached)


def _ports(way: Way, name: str) -> Iterator[Finding]:
    ports = [int(way.values.get("nginx_http_port", 80))]
    if way.values.get("nginx_tls", "none") != "none":
        ports.append(int(way.values.get("nginx_https_port", 443)))
    for port in ports:
        silence = connect(name, port)
        if not way.status and "refused" in silence:
            yield way.place.ok(f"port {port}", "reaches the host, where nothing listens before it is provisioned")
        else:
            fix = "open it in the provider's firewall, and in ufw if the host has that" if silence else ""
            yield way.place.verdict(f"port {port}", silence or "is open", fix)


def _name(way: Way, name: str, found: dict[str, str]) -> Finding:
    """Where the records of a name lead. `found`: A or AAAA, by address."""
    words = f"{name} is {', '.join(sorted(found))}"
    own = _own(way)
    # Where a provider translates IPv4 addresses, the host does not know its own. Private ones have another DNS.
    known = {"A": any("." in address for address in own), "AAAA": bool(own)}
    elsewhere = {
        address: record
        for address, record in found.items()
        if known[record] and address not in own and _is_public(address)
    }
    if not elsewhere:
        return way.place.ok("site", words)
    if way.values.get("nginx_trusted_proxies"):
        return way.place.ok("site", f"{words}; the host is behind nginx_trusted_proxies")
    lines = [
        f"correct or remove the {record} record {address} of {name}: the host is {', '.join(sorted(own))}"
        for address, record in sorted(elsewhere.items())
    ]
    lines.append("if a proxy or a load balancer is there: nginx_trusted_proxies, with its addresses")
    return way.place.wrong("site", words, "\n".join(lines))


def _own(way: Way) -> set[str]:
    """The host's public addresses: those of its interfaces, and where ansible_host leads."""
    own = {str(address) for address in way.told.get("addresses", [])}
    with suppress(OSError):  # way.py tells it, or a jump host resolves it
        infos = socket.getaddrinfo(str(way.values.get("ansible_host", way.name)), 22, type=socket.SOCK_STREAM)
        own |= {str(info[4][0]) for info in infos}
    return {address for address in own if _is_public(address)}


def _is_public(address: str) -> bool:
    with suppress(ValueError):
        return ipaddress.ip_address(address.partition("%")[0]).is_global
    return False
