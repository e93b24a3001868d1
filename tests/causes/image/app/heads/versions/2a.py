"""A revision."""

import sqlalchemy as sa
from alembic import op

revision = "2a"
down_revision = "1a2b"


def upgrade():
    op.create_table("t_2a", sa.Column("id", sa.Integer, primary_key=True))
