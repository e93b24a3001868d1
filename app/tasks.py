"""The tasks, and when beat sends them.

A task may run twice: the broker sends it again if its worker died before acknowledging it, and cannot know how far it
came. So its effect is one statement that changes nothing the second time. And the broker may lose it: what is still to
be done stands in the database, from where `resend` sends it again. Together, each is done, and once in effect.
"""

import io
import logging
from datetime import timedelta

import segno
from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError

from app.database import Database
from app.models import Day, Link, QrCode, now
from app.worker import LOST_AFTER, celery, run, settings

log = logging.getLogger(__name__)

RESEND = 100
"""Most pictures that are sent again at once."""

ROLL_UP = 60
"""Seconds from one roll-up to the next."""

# What is periodic ends with its turn: workers that come back after an hour do not find an hour's of it.
celery.conf.beat_schedule = {
    name: {"task": f"app.tasks.{name}", "schedule": seconds, "options": {"expires": seconds}}
    for name, seconds in {"resend": settings.task_seconds, "roll_up": ROLL_UP}.items()
}


@celery.task
def make_qr(digest: str) -> None:
    """Make one picture, unless it is there."""
    text = run(lambda database: _take(database, digest))
    if text is None:
        return
    picture = io.BytesIO()
    segno.make(text, micro=False).save(picture, kind="png", scale=QrCode.SCALE)
    run(lambda database: _keep(database, digest, picture.getvalue()))
    log.info("picture made", extra={"digest": digest})


async def _take(database: Database, digest: str) -> str | None:
    """Count a try, and tell what to make a picture of; None if it is there, or was tried often enough."""
    take = (
        update(QrCode)
        .where(QrCode.digest == digest, QrCode.picture.is_(None), QrCode.tries < QrCode.MOST_TRIES)
        .values(tries=QrCode.tries + 1)
        .returning(QrCode.text)
    )
    async with database.write(one_statement=True) as session:
        return await session.scalar(take)


async def _keep(database: Database, digest: str, picture: bytes) -> None:
    """Store the picture. If the same task ran twice at once, the second changes nothing."""
    keep = update(QrCode).where(QrCode.digest == digest, QrCode.picture.is_(None)).values(picture=picture)
    async with database.write(one_statement=True) as session:
        await session.execute(keep)


@celery.task
def resend() -> None:
    """Send again the pictures that were requested long ago and are not there.

    Its task was lost: by a broker that lost its memory or was away when the request came, by a worker that was killed
    between taking it and writing that down, or by one of another release, which did not know what to do with it.
    """
    for digest in run(_lost):
        make_qr.delay(digest)
        log.info("picture asked for again", extra={"digest": digest})


async def _lost(database: Database) -> list[str]:
    lost = (
        select(QrCode.digest)
        .where(
            QrCode.picture.is_(None),
            QrCode.tries < QrCode.MOST_TRIES,
            QrCode.sent_at < now() - timedelta(seconds=LOST_AFTER),
        )
        .order_by(QrCode.sent_at)
        .limit(RESEND)
    )
    async with database.write() as session:
        digests = list(await session.scalars(lost.with_for_update(skip_locked=True)))
        await session.execute(update(QrCode).where(QrCode.digest.in_(digests)).values(sent_at=now()))
    return digests


@celery.task
def roll_up() -> None:
    """Note today's sums: over all links, so nothing for a request to add up."""
    run(_roll_up)


async def _roll_up(database: Database) -> None:
    """Write the sums themselves, not what came since the last time: the second time, or two at once, change nothing."""
    async with database.read() as session:
        links, clicks = (await session.execute(select(func.count(), func.coalesce(func.sum(Link.clicks), 0)))).one()
    today = Day(day=now().date(), links=links, clicks=clicks)
    try:
        async with database.write() as session:
            await session.merge(today)
    except IntegrityError:  # the day is new, and another roll-up was first
        log.info("another roll-up was first")
