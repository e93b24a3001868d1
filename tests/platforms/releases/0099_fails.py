"""A migration that PostgreSQL refuses."""

from alembic import op

revision = "0099"
down_revision = "0002"


def upgrade() -> None:
    """Name a table that does not exist."""
    op.execute("ALTER TABLE no_such_table ADD COLUMN x int")
