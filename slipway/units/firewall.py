"""The host's firewall (nftables): rules for open ports, the firewalls of others, and ports that would be closed."""

import ipaddress
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_PROTOCOLS = ("tcp", "udp")
_OWN = ("slipway", "slipway_firewall")


def problem(entry: Any) -> str | None:
    """Return what is wrong with an entry of `hardening_firewall_open`, None if nothing is."""
    if not isinstance(entry, Mapping) or "port" not in entry:
        return f"{entry!r} names no port. Write {{port: 9100}}, or {{port: 9100, from: [10.0.0.0/8]}}"
    unknown = sorted(set(entry) - {"port", "protocol", "from", "to"})
    wrong = None
    if unknown:
        wrong = f"{unknown[0]} is not known. It may have port, protocol and from"
    elif not _ports(entry["port"]):
        wrong = f"{entry['port']!r} is no port. Write a number from 1 to 65535, or a range as 60000-61000"
    elif entry.get("protocol", "tcp") not in _PROTOCOLS:
        wrong = f"{entry['protocol']!r} is no protocol. Write tcp or udp"
    elif "from" in entry:
        wrong = _wrong_sources(entry["from"])
    return wrong and f"{entry!r}: {wrong}"


def _wrong_sources(sources: Any) -> str | None:
    if isinstance(sources, str) or not isinstance(sources, Sequence):
        return f"from is a list. Write from: [{sources}]"
    if not sources:
        return "from is empty, so nobody could connect. Leave it out for everybody, or name addresses"
    for source in sources:
        try:
            ipaddress.ip_network(source)
        except ValueError as error:
            return f"{source!r} is no address and no network ({error}). Write it as 203.0.113.7 or 10.0.0.0/8"
    return None


def _ports(text: Any) -> tuple[int, int] | None:
    """Return the first and the last port of a number or a range."""
    found = re.fullmatch(r"([0-9]{1,5})(?:-([0-9]{1,5}))?", str(text)) if not isinstance(text, bool) else None
    if found is None:
        return None
    first, last = int(found[1]), int(found[2] or found[1])
    return (first, last) if 1 <= first <= last <= 65535 else None


def rules(entries: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return nftables' statements that accept what the entries name; `to` is an address of this host.

    Raises:
        ValueError: an entry is wrong; the text tells what to write.
    """
    lines = []
    for entry in entries:
        if (wrong := problem(entry)) is not None:
            raise ValueError(wrong)
        port = f"{entry.get('protocol', 'tcp')} dport {entry['port']} accept"
        matches = [f"{_family(entry['to'])} daddr {entry['to']} "] if "to" in entry else [""]
        if "from" in entry:
            by_family: dict[str, list[str]] = {}
            for source in entry["from"]:
                by_family.setdefault(_family(source), []).append(str(source))
            matches = [f"{family} saddr {{ {', '.join(found)} }} " for family, found in by_family.items()]
        lines += [match + port for match in matches]
    return lines


def _family(address: str) -> str:
    return "ip" if ipaddress.ip_network(address).version == 4 else "ip6"


def others(chains: str) -> list[str]:
    """Return the firewalls that somebody else set up, by what `nft --json list chains` printed."""
    found = [item["chain"] for item in json.loads(chains or "{}").get("nftables", []) if "chain" in item]
    foreign = [chain for chain in found if chain["table"] not in _OWN and chain.get("hook") == "input"]
    dropping = [f"{chain['family']} {chain['table']}" for chain in foreign if chain.get("policy") == "drop"]
    firewalld = ["firewalld" for chain in foreign if chain["table"] == "firewalld"]
    return sorted({*dropping, *firewalld})


def closed(listening: str, entries: Iterable[Mapping[str, Any]], *, ssh: Iterable[str]) -> list[str]:
    """Return what listens on an address that is not the loopback's and no entry opens, by what `ss -Htulnp` printed.

    DHCP's client is left out: the rules name it. `ssh`: the ports of SSH.
    """
    opened = [(entry.get("protocol", "tcp"), _ports(entry["port"])) for entry in entries]
    opened += [("tcp", _ports(port)) for port in ssh]
    found = set()
    for line in listening.splitlines():
        columns = line.split()
        address, _, port = columns[4].rpartition(":")
        address = address.partition("%")[0].strip("[]")
        number = int(port)
        if (address != "*" and ipaddress.ip_address(address).is_loopback) or number in (
            68,
            546,
        ):
            continue
        if any(protocol == columns[0] and ports and ports[0] <= number <= ports[1] for protocol, ports in opened):
            continue
        program = re.search(r'\(\("([^"]+)"', line)
        found.add(f"{columns[0]} {number}" + (f" ({program[1]})" if program else ""))
    return sorted(found)
