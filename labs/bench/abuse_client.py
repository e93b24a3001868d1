"""Clients that abuse a site, and one that does not: copied to a test host, where Debian's python3 runs it.

    python3 client.py KIND ADDRESSES CONNECTIONS SECONDS IPV4 IPV6 HOST PORT
    python3 client.py good ADDRESS RATE SECONDS IPV4 IPV6 HOST PORT

Prints one JSON object. The addresses belong to the network namespace that this runs in (see abuse.py).
"""

import asyncio
import contextlib
import functools
import ipaddress
import itertools
import json
import resource
import socket
import ssl
import struct
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable

PAUSE_SECONDS = 3.0
"""Between two parts of what a slow client sends: well within nginx's timeouts."""
BODY_BYTES = 32 << 20
"""nginx_body_size_mb."""
GOOD_TIMEOUT_SECONDS = 5.0
CONNECT_SECONDS = 0.3
"""A connection that is accepted is there at once."""
CONNECTING = 1000
"""Connections that are opened at a time; the server's queue has 4,096."""
HTTPS = 443
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER: a closed connection leaves nothing behind, so the client does not run out of ports."""

Kind = Callable[[socket.socket, str, float], Awaitable[str]]


def head(host: str, line: str, *headers: str) -> bytes:
    """A request up to its body."""
    return "\r\n".join([line, f"Host: {host}", *headers, "", ""]).encode()


async def until_closed(connection: socket.socket, deadline: float) -> str:
    """Wait until the server closes the connection. Returns "held" if it did not, else the status it sent before."""
    loop, told = asyncio.get_running_loop(), b""
    try:
        async with asyncio.timeout_at(deadline):
            while part := await loop.sock_recv(connection, 4096):
                told = told or part
    except TimeoutError:
        return told.split()[1].decode() if told else "held"
    return told.split()[1].decode() if told else "closed"


async def drip(connection: socket.socket, begin: bytes, part: bytes, deadline: float) -> str:
    """Send the beginning, then a part every few seconds."""
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(connection, begin)
    closed = asyncio.ensure_future(until_closed(connection, deadline))
    while not closed.done():
        await asyncio.wait([closed], timeout=PAUSE_SECONDS)
        if not closed.done():
            with contextlib.suppress(OSError):
                await loop.sock_sendall(connection, part)
    return await closed


async def idle(connection: socket.socket, _host: str, deadline: float) -> str:
    """Connect, and send nothing."""
    return await until_closed(connection, deadline)


async def slow_headers(connection: socket.socket, _host: str, deadline: float) -> str:
    """Send a header every few seconds."""
    return await drip(connection, b"GET / HTTP/1.1\r\n", b"X-Slow: 1\r\n", deadline)


async def slow_body(connection: socket.socket, host: str, deadline: float) -> str:
    """Announce a large body, and send a byte of it every few seconds."""
    begin = head(
        host,
        "POST /links HTTP/1.1",
        "Content-Type: application/json",
        f"Content-Length: {BODY_BYTES}",
    )
    return await drip(connection, begin, b"x", deadline)


async def slow_reader(connection: socket.socket, host: str, deadline: float) -> str:
    """Request much, and read nothing."""
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(connection, head(host, "GET /openapi.json HTTP/1.1") * 100)
    await asyncio.sleep(max(0.0, deadline - loop.time()))
    return "held"


async def requests(connection: socket.socket, host: str, deadline: float) -> str:
    """Send a request after each response."""
    loop, request, counted = (
        asyncio.get_running_loop(),
        head(host, "GET /version HTTP/1.1"),
        Counter[str](),
    )
    while loop.time() < deadline:
        await loop.sock_sendall(connection, request)
        async with asyncio.timeout_at(deadline + 2):
            answer = await loop.sock_recv(connection, 65536)
        if not answer:
            break
        counted[answer[9:12].decode()] += 1
    COUNTS.update(counted)
    return "closed"


async def connections(_connection: socket.socket, _host: str, _deadline: float) -> str:
    """Connect, and close."""
    return "closed"


async def large_body(connection: socket.socket, host: str, deadline: float) -> str:
    """Send a large body but for its last byte."""
    loop = asyncio.get_running_loop()
    begin = head(
        host,
        "POST /links HTTP/1.1",
        "Content-Type: application/json",
        f"Content-Length: {BODY_BYTES}",
    )
    answer = asyncio.ensure_future(until_closed(connection, deadline))
    part, left = bytes(65536), BODY_BYTES - 1
    await loop.sock_sendall(connection, begin)
    while left and not answer.done():
        await loop.sock_sendall(connection, part[:left])
        left -= min(left, len(part))
    return await answer


@functools.cache
def tls() -> ssl.SSLContext:
    """TLS as Debian's OpenSSL offers it, whatever the certificate."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


@functools.cache
def client_hello(host: str) -> bytes:
    """Return the first message of a handshake, which may be sent any number of times."""
    sent = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        tls().wrap_bio(ssl.MemoryBIO(), sent, server_hostname=host).do_handshake()
    return sent.read()


async def handshakes(connection: socket.socket, host: str, deadline: float) -> str:
    """Begin a TLS handshake, and leave when the server has signed its part."""
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(connection, client_hello(host))
    async with asyncio.timeout_at(deadline):
        return "signed" if await loop.sock_recv(connection, 65536) else "closed"


KINDS: dict[str, Kind] = {
    each.__name__: each
    for each in (
        idle,
        slow_headers,
        slow_body,
        slow_reader,
        requests,
        connections,
        large_body,
        handshakes,
    )
}
COUNTS = Counter[str]()


def open_socket(address: str) -> socket.socket:
    """A socket of a client's address."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM)
    opened.setblocking(False)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    # The port is chosen when it connects: else two connections of an address could not share one.
    opened.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
    opened.bind((address, 0))
    return opened


def addresses(spread: str) -> list[str]:
    """The addresses of `4:N` (IPv4), `6:N` (each in a /64 of its own) or `64:N` (all in one /64)."""
    kind, _, number = spread.partition(":")
    base, step = {
        "4": ("198.18.0.1", 1),
        "6": ("2001:db8:1::1", 1 << 64),
        "64": ("2001:db8:1::1", 1),
    }[kind]
    first = ipaddress.ip_address(base)
    return [str(first + step * each) for each in range(int(number))]


async def abuse(
    kind: str,
    spread: str,
    total: int,
    seconds: float,
    target: tuple[str, str],
    host: str,
    port: int,
) -> dict[str, int]:
    """Keep `total` connections busy, over the addresses in turns. Returns how they ended."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    connecting = asyncio.Semaphore(CONNECTING)

    async def one(address: str) -> None:
        # Those that are refused try again, at a rate that one machine has.
        while loop.time() < deadline:
            with open_socket(address) as connection:
                try:
                    async with connecting, asyncio.timeout(CONNECT_SECONDS):
                        await loop.sock_connect(connection, (target[":" in address], port))
                    COUNTS["connected"] += 1
                    COUNTS[await KINDS[kind](connection, host, deadline)] += 1
                except (OSError, TimeoutError) as error:
                    COUNTS[type(error).__name__] += 1
                    await asyncio.sleep(0.5)

    chosen = itertools.islice(itertools.cycle(addresses(spread)), total)
    await asyncio.gather(*(one(address) for address in chosen))
    return dict(COUNTS)


async def good(
    address: str, rate: int, seconds: float, target: tuple[str, str], host: str, port: int
) -> dict[str, object]:
    """Send requests at a rate, each on a connection of its own. Returns milliseconds, and why requests failed."""
    times: list[float] = []
    failed = Counter[str]()

    async def one(planned: float) -> None:
        await asyncio.sleep(planned - time.monotonic())
        try:
            async with asyncio.timeout(GOOD_TIMEOUT_SECONDS):
                context = tls() if port == HTTPS else None
                reader, writer = await asyncio.open_connection(
                    target[":" in address],
                    port,
                    local_addr=(address, 0),
                    ssl=context,
                    server_hostname=host if context else None,
                )
                writer.write(head(host, "GET /version HTTP/1.1", "Connection: close"))
                answer = await reader.read()
                writer.close()
        except (OSError, TimeoutError) as error:
            failed[type(error).__name__] += 1
            return
        if answer.startswith(b"HTTP/1.1 200"):
            times.append((time.monotonic() - planned) * 1000)
        else:
            failed[answer[9:12].decode() or "closed"] += 1

    begin = time.monotonic() + 0.1
    await asyncio.gather(*(one(begin + number / rate) for number in range(int(rate * seconds))))
    return {"ms": sorted(times), "failed": failed}


def main() -> None:
    """Do what the command line says."""
    kind, where, number, seconds, four, six, host, port = sys.argv[1:]
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    run = (
        good(where, int(number), float(seconds), (four, six), host, int(port))
        if kind == "good"
        else (abuse(kind, where, int(number), float(seconds), (four, six), host, int(port)))
    )
    print(json.dumps(asyncio.run(run)))


if __name__ == "__main__":
    main()
