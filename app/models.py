"""The tables."""

from datetime import UTC, date, datetime
from typing import ClassVar

from sqlalchemy import BigInteger, DateTime, ForeignKey, Index, String, Text, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


def now() -> datetime:
    """Tell the time as the tables keep it."""
    return datetime.now(UTC)


class Base(DeclarativeBase):
    """What Alembic compares the database with."""


class Link(Base):
    """A short name for a URL, and how often it was followed."""

    __tablename__ = "links"
    __table_args__ = {"sqlite_with_rowid": False}  # noqa: RUF012 -- SQLAlchemy's own form; one B-tree, keyed by slug

    slug: Mapped[str] = mapped_column(String(16), primary_key=True)
    url: Mapped[str] = mapped_column(Text)
    clicks: Mapped[int] = mapped_column(default=0, server_default="0")
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=now)


PENDING = text("picture IS NULL")


class QrCode(Base):
    """A requested picture. Without `picture` it is still to be made: this row, not the task, is the order."""

    SCALE: ClassVar = 8
    """Pixels of one module. A release that makes others so has pictures of its own: it is in their digest."""

    MOST_TRIES: ClassVar = 10
    """Tries to make a picture. Then it is at fault itself, and would take workers down for ever."""

    __tablename__ = "qr_codes"
    # What is still to be made, of a table that is mostly pictures.
    __table_args__ = (Index("qr_codes_pending", "sent_at", postgresql_where=PENDING, sqlite_where=PENDING),)

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    slug: Mapped[str] = mapped_column(ForeignKey("links.slug", ondelete="CASCADE"))
    text: Mapped[str] = mapped_column(Text)
    picture: Mapped[bytes | None]
    tries: Mapped[int] = mapped_column(default=0, server_default="0")
    sent_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=now)


class Day(Base):
    """How many links there were at the end of a day (UTC), and how often they had been followed until then."""

    __tablename__ = "days"

    day: Mapped[date] = mapped_column(primary_key=True)
    links: Mapped[int] = mapped_column(BigInteger)
    clicks: Mapped[int] = mapped_column(BigInteger)
