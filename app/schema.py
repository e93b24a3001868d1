"""Which migration this release needs.

Migrations are numbered (`0001_links.py`), so "is the database far enough?" is a comparison, and the serving processes
need no Alembic, which would cost each of them 12 MB.
"""

from pathlib import Path

HEAD = max(path.name[:4] for path in (Path(__file__).parent / "migrations" / "versions").glob("[0-9]*.py"))


def behind(revision: str | None) -> bool:
    """Tell whether the database lacks a migration of this release.

    One that is ahead is fine: while a new release migrates and takes over, and after a rollback, the older one serves
    on the newer schema. Migrations are written so that it can (add first, remove a release later).
    """
    return revision is None or revision < HEAD
