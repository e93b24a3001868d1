"""Alembic's environment."""

import os

import sqlalchemy as sa
from alembic import context

url = os.environ.get("DATABASE_URL", "sqlite:////tmp/shop.db")
with sa.create_engine(url).connect() as connection:
    if os.environ.get("AHEAD"):
        connection.execute(sa.text("create table alembic_version (version_num varchar(32))"))
        connection.execute(sa.text("insert into alembic_version values ('9f8e7d6c5b4a')"))
    context.configure(connection=connection, target_metadata=sa.MetaData())
    with context.begin_transaction():
        context.run_migrations()
