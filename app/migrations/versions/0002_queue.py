"""What the task queue makes: pictures of links, and the roll-up of a day."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "qr_codes",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("slug", sa.String(16), sa.ForeignKey("links.slug", ondelete="CASCADE"), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("picture", sa.LargeBinary),
        sa.Column("tries", sa.Integer, nullable=False, server_default="0"),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
    )
    pending = sa.text("picture IS NULL")
    op.create_index("qr_codes_pending", "qr_codes", ["sent_at"], postgresql_where=pending, sqlite_where=pending)
    op.create_table(
        "days",
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("links", sa.BigInteger, nullable=False),
        sa.Column("clicks", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    """Drop the tables: what is in them can be made again."""
    op.drop_table("days")
    op.drop_table("qr_codes")
