"""The migration of a next release: it only adds."""

from pathlib import Path

from alembic import op  # type: ignore[import-not-found]

revision = "9001"
down_revision = sorted(path.name[:4] for path in Path(__file__).parent.glob("[0-9]*.py"))[-2]


def upgrade() -> None:
    """Add what the release before never heard of, to a table that it uses."""
    op.execute("ALTER TABLE links ADD COLUMN hidden BOOLEAN NOT NULL DEFAULT false")
