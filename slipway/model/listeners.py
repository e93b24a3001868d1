"""The sockets that an app listens on, as the kernel lists them, and which of its ports gets the requests.

For the engine, for `proxy@.service`, and inside an image whose contract is checked: its own Python runs it there,
so it has to be Python 3.7.
"""

from __future__ import annotations

import ipaddress
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

CONNECTING, LISTENING = "02", "0A"
"""States of a TCP socket, as the kernel writes them."""
GRACE_SECONDS = 0.3
"""So long an app that listens on a port may take to accept on the socket as well, which is the better way."""
ALONE_SECONDS = 5
"""So long another port than the first has to be the only one: metrics may be served before the app is imported."""


@dataclass(frozen=True)
class TcpSocket:
    """A line of /proc/net/tcp."""

    address: str
    port: int
    peer_port: int
    state: str
    queue: int
    """Of one that listens: how many connections nobody has accepted."""

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"

    @property
    def reached_at(self) -> str:
        """The address at which a client in the same network reaches a socket that listens."""
        address = ipaddress.ip_address(self.address)
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        if not address.is_unspecified:
            return str(address)
        return "::1" if address.version == 6 else "127.0.0.1"


def parse(table: str) -> list[TcpSocket]:
    """Read a table of the kernel: /proc/net/tcp or tcp6."""
    found = []
    for line in table.splitlines()[1:]:
        _, local, peer, state, queues = line.split()[:5]
        address, port = local.split(":")
        queue, peer_port = int(queues.split(":")[1], 16), int(peer.split(":")[1], 16)
        found.append(TcpSocket(_address(address), int(port, 16), peer_port, state, queue))
    return found


def tcp_sockets(pid: int | str = "self") -> list[TcpSocket]:
    """Read the TCP sockets in the network of a process, those over IPv4 first; none if the process is gone."""
    found = []
    for name in ("tcp", "tcp6"):
        with suppress(OSError):
            found += parse(Path(f"/proc/{pid}/net/{name}").read_text())
    return found


def listening(sockets: list[TcpSocket]) -> list[TcpSocket]:
    """Those of the sockets that listen."""
    return [each for each in sockets if each.state == LISTENING]


def open_ports(allowed: list[int], sockets: list[TcpSocket]) -> list[int]:
    """Those of the `allowed` ports on which something listens, the best first."""
    found = {each.port for each in listening(sockets)}
    return [port for port in allowed if port in found]


def choose(allowed: list[int], found: list[int], seconds: float) -> int | None:
    """The port that requests go to: the first of the `allowed` ones, or the only one that has listened for a while.

    `seconds` is how long just the ports `found` have been open. None: it is not known yet.
    """
    if allowed[0] in found:
        return allowed[0]
    return found[0] if len(found) == 1 and seconds >= ALONE_SECONDS else None


def _address(text: str) -> str:
    """Words of 32 bits, each in this machine's order of bytes."""
    words = bytes.fromhex(text)
    packed = b"".join(words[at : at + 4][:: -1 if sys.byteorder == "little" else 1] for at in range(0, len(words), 4))
    return str(ipaddress.ip_address(packed))
