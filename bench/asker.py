"""Follows links at a steady rate while pictures are made, on the host itself: `asker.py ROUNDS`, prints JSON.

Runs with the host's own Python, by itself. Each round asks for the pictures in each way. Requests are sent when they
are due, whether or not those before were answered, and their time counts from then: a server that stands still is not
asked less.
"""

import asyncio
import json
import re
import sys
import time
from collections.abc import Awaitable, Callable

PICTURES = 20
RATE = 100
"""Links followed per second."""

ALONE = 0.5
"""Seconds for which links are followed while no picture is made."""

PAUSE = 0.3
"""Seconds between two ways, for what is still under way."""

MOST_SECONDS = 60
"""For the pictures of one round. Longer, and nobody works off the queue."""


async def ask(method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
    """Send a request on a connection of its own. Returns the status and the body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", 80)
    head = f"{method} {path} HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    answer = await reader.read()
    writer.close()
    found = re.match(rb"HTTP/1\.[01] ([0-9]{3}) (?:.|\r\n)*?\r\n\r\n", answer)
    if not found:
        raise SystemExit(f"{method} {path}: no answer")
    return int(found[1]), answer[found.end() :]


async def expect(status: int, method: str, path: str, body: bytes = b"") -> bytes:
    """Send a request that has to be answered in one way."""
    got, answer = await ask(method, path, body)
    if got != status:
        raise SystemExit(f"{method} {path}: {got} instead of {status}: {answer.decode(errors='replace')}")
    return answer


async def link() -> str:
    """Make a link, and return its slug."""
    slug: str = json.loads(await expect(201, "POST", "/links", b'{"url": "https://example.org/"}'))["slug"]
    return slug


async def alone(_: list[str]) -> None:
    """Make no picture."""
    await asyncio.sleep(ALONE)


async def in_the_loop(slugs: list[str]) -> None:
    """Make all pictures at once, each in a worker's event loop."""
    await asyncio.gather(*(expect(200, "POST", f"/bench/qr/loop/{slug}") for slug in slugs))


async def in_threads(slugs: list[str]) -> None:
    """Make all pictures at once, each in a worker's thread."""
    await asyncio.gather(*(expect(200, "POST", f"/bench/qr/thread/{slug}") for slug in slugs))


async def in_the_queue(slugs: list[str]) -> None:
    """Ask for all pictures at once, and wait until the queue has made them."""
    await asyncio.gather(*(expect(202, "POST", f"/links/{slug}/qr") for slug in slugs))
    for slug in slugs:
        while (await ask("GET", f"/links/{slug}/qr.png"))[0] == 202:  # noqa: ASYNC110 -- another process makes it
            await asyncio.sleep(0.02)


WAYS: dict[str, Callable[[list[str]], Awaitable[None]]] = {
    "none": alone,
    "loop": in_the_loop,
    "thread": in_threads,
    "queue": in_the_queue,
}


async def follow(slugs: list[str], until: asyncio.Event) -> list[float]:
    """Follow links at the steady rate. Returns how long each took, in milliseconds."""
    began = time.monotonic()
    taken: list[float] = []

    async def one(due: float, slug: str) -> None:
        await expect(307, "GET", f"/{slug}")
        taken.append((time.monotonic() - due) * 1000)

    async with asyncio.TaskGroup() as group:
        number = 0
        while not until.is_set():
            due = began + number / RATE
            await asyncio.sleep(due - time.monotonic())
            group.create_task(one(due, slugs[number % len(slugs)]))
            number += 1
    return taken


async def meanwhile(way: str, followed: list[str]) -> tuple[list[float], float]:
    """Make new pictures in one way, and follow links until they are made. Returns the times, and how long that was."""
    slugs = [await link() for _ in range(PICTURES)]
    made = asyncio.Event()
    following = asyncio.create_task(follow(followed, made))
    began = time.monotonic()
    async with asyncio.timeout(MOST_SECONDS):
        await WAYS[way](slugs)
    seconds = time.monotonic() - began
    made.set()
    return await following, seconds


async def main(rounds: int) -> None:
    """Measure each way in each round, and print what was taken."""
    followed = [await link() for _ in range(PICTURES)]
    taken: dict[str, list[float]] = {way: [] for way in WAYS}
    lasted: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(rounds):
        for way in WAYS:
            await asyncio.sleep(PAUSE)
            times, seconds = await meanwhile(way, followed)
            taken[way] += times
            lasted[way].append(seconds)
    print(json.dumps({"ms": taken, "seconds": lasted}))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
