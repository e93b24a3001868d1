"""A revision."""

import sqlalchemy as sa
from alembic import op

revision = "1a2b"
down_revision = None


def upgrade():
    op.create_table("t_1a2b", sa.Column("id", sa.Integer, primary_key=True))
