"""The way of requests into a release: the socket that it is handed, or a port on which it listens by itself.

Which one is found out when a release starts, and kept in its record. Each unit has a network of its own, so the ports
that are seen there are the app's. To a port leads `proxy@<release>.service`, which takes what comes on the same socket.
"""

from contextlib import suppress
from pathlib import Path

from slipway.engine import causes, instances
from slipway.engine.host import Host
from slipway.engine.probe import open_connections, queue_length
from slipway.model import listeners
from slipway.model.listeners import CONNECTING, LISTENING, TcpSocket

SHELLS = frozenset({"sh", "dash", "bash", "ash", "busybox"})


def ports(host: Host, release: str) -> list[int]:
    """The ports on which a release may listen, the best first."""
    return host.releases.ports(release)


def listening(host: Host, release: str) -> list[TcpSocket]:
    """What listens in the network of a release's web server."""
    pid = host.systemd.main_process(instances.service(release))
    return listeners.listening(listeners.tcp_sockets(pid)) if pid else []


def open_ports(host: Host, release: str) -> list[int]:
    """Those of its ports on which a release listens by itself, the best first."""
    return listeners.open_ports(ports(host, release), listening(host, release))


def queued(host: Host, release: str) -> int:
    """How many connections wait for a release: in the queue of its socket, and of its port if it has one."""
    waits = queue_length(host.releases.socket(release))
    if not instances.is_proxied(host, release):
        return waits
    allowed = ports(host, release)
    sockets = listeners.tcp_sockets(host.systemd.main_process(instances.proxy(release)))
    waits += sum(each.queue for each in sockets if each.state == LISTENING and each.port in allowed)
    return waits + sum(each.state == CONNECTING and each.peer_port in allowed for each in sockets)


def unfinished(host: Host, release: str) -> int:
    """How many connections have to end before a release is stopped, besides those in its queue: usually none.

    A server finishes its requests when it is stopped. A shell that waits for a server ends at once, and what it leaves
    is killed.
    """
    with suppress(OSError):
        pid = host.systemd.main_process(instances.service(release))
        program = Path(f"/proc/{pid}/cmdline").read_text(errors="replace").partition("\0")[0] if pid else ""
        if Path(program).name in SHELLS:
            return open_connections(host.releases.socket(release))
    return 0


def missing(host: Host, release: str) -> str:
    """Why requests find no way into a release, and what to change."""
    allowed, sockets = ports(host, release), listening(host, release)
    found = listeners.open_ports(allowed, sockets)
    if is_unclear(allowed, found):
        return unclear(allowed, found)
    if found:
        return f"It has only just begun to listen on port {found[0]}: allow it more time with release_start_timeout"
    return no_way(allowed, sockets)


def is_unclear(allowed: list[int], found: list[int]) -> bool:
    """Whether an app listens on several of the `allowed` ports, and not on the first."""
    return len(found) > 1 and allowed[0] not in found


def unclear(allowed: list[int], found: list[int]) -> str:
    """What to change there."""
    return (
        f"It listens on {' and '.join(map(str, found))}, and not on {allowed[0]}: which of them takes requests "
        f"is not known. Set `app_port: {found[0]}`, or the one of them that does"
    )


def no_way(allowed: list[int], sockets: list[TcpSocket]) -> str:
    """What to change where an app listens on none of the `allowed` ports, and leaves its socket alone."""
    own = ", ".join(map(str, allowed))
    if sockets:
        where = ", ".join(sorted(map(str, sockets)))
        return (
            f"It listens on {where}, and its port is {own} (app_port, else the image's PORT, EXPOSE or command, else "
            f"8000): set `app_port: {min(each.port for each in sockets)}`, or let it listen on $PORT"
        )
    return (
        f"Nothing accepts connections on the handed socket, and nothing listens on port {own}: "
        f"let it listen on $PORT, or {causes.SOCKET_ADVICE}"
    )
