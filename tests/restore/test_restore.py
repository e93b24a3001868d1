"""A real host with data: a migration that a rollback cannot undo, and a machine that is lost."""

from tests.restore import shop
from tests.restore.conftest import Shop


def kept(production: Shop) -> list[str]:
    """The notes, which are the same in all three places."""
    found = production.notes()
    assert found["postgresql"] == found["sqlite"] == found["files"], found
    return found["files"]


def test_a_rollback_that_needs_the_data_of_before_says_what_to_type(production: Shop) -> None:
    production.write("first")
    before = production.status()["live"]
    migration, main = production.folder / "migrations/0002_rename.sql", production.folder / "main.py"
    migration.write_text(shop.RENAME)
    main.write_text(shop.RENAMED_MAIN)
    production.slipway("deploy", "production")
    deployed = production.status()
    production.write("lost-by-the-rollback")

    # The code before asks for a table that has another name now.
    told = production.fails("rollback", "production")
    assert f"{before} does not know 1 of the migrations that ran since: migrations/0002_rename.sql." in told
    snapshot = deployed["backup"]["backup"]["snapshot"]
    restore = f"slipway restore production --snapshot {snapshot} --replace --no-migrate"
    rollback = f"slipway rollback production --to {before}"
    assert f"{restore}; {rollback}" in told
    assert production.status()["live"] == deployed["live"]
    assert kept(production) == ["first", "lost-by-the-rollback"]

    production.slipway(*restore.split()[1:])
    production.slipway(*rollback.split()[1:])
    assert kept(production) == ["first"]
    assert production.status()["state"] == "healthy"
    migration.unlink()
    main.write_text(shop.MAIN)


def test_a_host_that_is_destroyed_comes_back_by_the_documents_two_commands(production: Shop) -> None:
    production.write("before")
    production.backup()
    before = production.status()
    production.write("after-the-backup")

    production.new_machine(production.host)
    production.slipway("provision", "production")
    told = production.slipway("restore", "production")
    assert "lost: what was written since then (0 h" in told
    assert kept(production) == ["before", "first"]
    after = production.status()
    assert after["state"] == "healthy"
    assert after["image"] == before["image"]
    assert after["rollback_target"] is None
