"""The app, and routes that compute or wait for a known time: one for each way in which a request can keep a worker.

Runs in the app's image, behind the same server: what is measured is how many workers each of them can use.
"""

import asyncio
import io
import time

import segno
from sqlalchemy import text

from app.database import WorkerDatabase
from app.links import Slug
from app.main import app
from app.qr import SCALE

WAIT = 0.02
"""Seconds that a request waits: for a query that is not trivial, or for a service nearby."""

LINK = "https://example.org/abcdefgh"


def picture(link: str = LINK) -> int:
    """Compute for about 12 ms, as `app.tasks.make_qr` does. Returns the picture's size in bytes."""
    made = io.BytesIO()
    segno.make(link, micro=False).save(made, kind="png", scale=SCALE)
    return made.tell()


@app.get("/bench/compute")
async def compute() -> int:
    """Compute, in the event loop."""
    return picture()


@app.get("/bench/block")
async def block() -> int:
    """Compute, and wait as long without telling the event loop, as a synchronous driver does in an `async def`."""
    began = time.thread_time()
    size = picture()
    time.sleep(time.thread_time() - began)  # noqa: ASYNC251 -- this is what is measured
    return size


@app.get("/bench/thread")
def thread() -> None:
    """Wait in a plain `def`: in one of the 40 threads that a worker has for these."""
    time.sleep(WAIT)


@app.get("/bench/await")
async def wait() -> None:
    """Wait as an `async def` should."""
    await asyncio.sleep(WAIT)


@app.get("/bench/query")
async def query(database: WorkerDatabase) -> None:
    """Wait for PostgreSQL, on a connection of this worker's pool."""
    async with database.read() as session:
        await session.execute(text("SELECT pg_sleep(:seconds)"), {"seconds": WAIT})


@app.post("/bench/qr/loop/{slug:slug}")
async def qr_in_the_loop(slug: Slug) -> int:
    """Make a picture in the event loop."""
    return picture(LINK + slug)


@app.post("/bench/qr/thread/{slug:slug}")
def qr_in_a_thread(slug: Slug) -> int:
    """Make a picture in a thread."""
    return picture(LINK + slug)
