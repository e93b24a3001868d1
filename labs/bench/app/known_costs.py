"""The app with routes of known cost: one for each way in which a request can occupy a worker.

Runs in the app's image, behind the same server: `make bench` measures how many workers each route can use.
"""

import asyncio
import io
import time

import segno
from sqlalchemy import text

from app.dependencies import WorkerDatabase
from app.links import Slug
from app.main import app
from app.models import QrCode

WAIT_SECONDS = 0.02
"""As for a query that is not trivial, or a service nearby."""

LINK = "https://example.org/abcdefgh"


def picture(link: str = LINK) -> int:
    """Compute for about 12 ms, as `app.tasks.make_qr` does. Returns the picture's size in bytes."""
    file = io.BytesIO()
    segno.make(link, micro=False).save(file, kind="png", scale=QrCode.SCALE)
    return file.tell()


@app.get("/bench/compute")
async def compute() -> int:
    """Compute, in the event loop."""
    return picture()


@app.get("/bench/block")
async def block() -> int:
    """Compute, then block the event loop as long, as a synchronous driver does in an `async def`."""
    started_at = time.thread_time()
    size = picture()
    time.sleep(time.thread_time() - started_at)  # noqa: ASYNC251 -- blocking is measured here
    return size


@app.get("/bench/thread")
def thread() -> None:
    """Wait in a plain `def`: in one of the 40 threads of a worker."""
    time.sleep(WAIT_SECONDS)


@app.get("/bench/await")
async def wait() -> None:
    """Wait with `await`."""
    await asyncio.sleep(WAIT_SECONDS)


@app.get("/bench/query")
async def query(database: WorkerDatabase) -> None:
    """Wait for PostgreSQL, on a connection of this worker's pool."""
    async with database.read() as session:
        await session.execute(text("SELECT pg_sleep(:seconds)"), {"seconds": WAIT_SECONDS})


@app.post("/bench/qr/loop/{slug:slug}")
async def qr_in_the_loop(slug: Slug) -> int:
    """Make a picture in the event loop."""
    return picture(LINK + slug)


@app.post("/bench/qr/thread/{slug:slug}")
def qr_in_a_thread(slug: Slug) -> int:
    """Make a picture in a thread."""
    return picture(LINK + slug)
