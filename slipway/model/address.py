"""Addresses of hosts, IPv4 and IPv6."""


def in_url(address: str) -> str:
    """Return an address as it stands before a port: one of IPv6 in brackets (RFC 3986)."""
    return f"[{address}]" if ":" in address else address
