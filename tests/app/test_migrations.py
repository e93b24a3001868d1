"""Each migration can be stood by the release before it, or says why that no longer matters."""

from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import Script, ScriptDirectory

from tests.app.compatibility import findings
from tests.app.service import ROOT

CHECKED_AFTER = "base"
"""In an app that is older than this check: the last migration that every host has. What came before is not read."""


def ours() -> list[Script]:
    scripts = ScriptDirectory.from_config(Config(toml_file=str(ROOT / "app/pyproject.toml")))
    return list(scripts.iterate_revisions("heads", CHECKED_AFTER))


@pytest.mark.parametrize("script", ours(), ids=lambda script: Path(script.path).stem)
def test_the_release_before_can_serve_on_what_it_makes(script: Script) -> None:
    found = findings(script)
    assert not found, "\n\n" + "\n\n".join(map(str, found))


def migration(folder: Path, upgrade: str, head: str = "") -> Script:
    """Write one, as somebody would."""
    (folder / "versions").mkdir()
    body = "".join(f"    {line}\n" for line in upgrade.splitlines())
    text = (
        "import sqlalchemy as sa\nfrom alembic import op\n\n"
        f"revision = '0003'\ndown_revision = None\n{head}\n\ndef upgrade():\n{body}"
    )
    (folder / "versions/0003_next.py").write_text(text)
    (script,) = ScriptDirectory(str(folder)).walk_revisions()
    return script


CONCURRENTLY = "with op.get_context().autocommit_block():\n    "

REFUSED = {
    "ban-drop-column": 'op.drop_column("links", "clicks")',
    "ban-drop-table": 'op.drop_table("links")',
    "renaming-column": 'op.alter_column("links", "clicks", new_column_name="followed")',
    "renaming-table": 'op.rename_table("links", "names")',
    "changing-column-type": 'op.alter_column("links", "url", type_=sa.String(100))',
    "adding-required-field": 'op.add_column("links", sa.Column("owner", sa.Text, nullable=False))',
    "adding-not-nullable-field": 'op.alter_column("links", "note", nullable=False)',
    "ban-drop-not-null": 'op.alter_column("links", "url", nullable=True)',
    "ban-drop-default": 'op.alter_column("links", "clicks", server_default=None)',
    "adding-field-with-default": 'op.add_column("links", sa.Column("at", sa.DateTime, server_default=sa.text("clock_timestamp()")))',
    "disallowed-unique-constraint": 'op.create_unique_constraint("one", "links", ["url"])',
    "constraint-missing-not-valid": 'op.create_check_constraint("more", "links", "clicks >= 0")',
    "adding-foreign-key-constraint": 'op.create_foreign_key("of", "links", "days", ["day"], ["day"])',
    "ban-drop-constraint": 'op.drop_constraint("of", "links")',
    "require-concurrent-index-creation": 'op.create_index("by_url", "links", ["url"])',
    "require-concurrent-index-deletion": 'op.drop_index("by_url", "links")',
    "ban-concurrent-index-creation-in-transaction": 'op.create_index("by_url", "links", ["url"], postgresql_concurrently=True)',
    "prefer-robust-stmts": 'op.add_column("links", sa.Column("note", sa.Text))\n' + CONCURRENTLY + "pass",
    "renaming-object": "op.execute(\"ALTER TYPE kind RENAME VALUE 'a' TO 'b'\")",
    "ban-drop-view": 'op.execute("DROP VIEW sums")',
    "cannot-be-read": 'op.get_bind().execute(sa.text("SELECT 1")).scalar_one()',
    "syntax-error": 'op.execute("ALTER TABLE links ADD COLUM note TEXT")',
}


@pytest.mark.parametrize("rule", REFUSED)
def test_one_that_is_not_compatible_is_refused(tmp_path: Path, rule: str) -> None:
    assert rule in {finding.rule for finding in findings(migration(tmp_path, REFUSED[rule]))}


@pytest.mark.parametrize(
    "upgrade",
    [
        CONCURRENTLY
        + 'op.create_index("one", "links", ["url"], unique=True, if_not_exists=True, postgresql_concurrently=True)',
        CONCURRENTLY + 'op.drop_index("one", "links", if_exists=True, postgresql_concurrently=True)',
        'op.create_check_constraint("more", "links", "clicks >= 0", postgresql_not_valid=True)',
        'op.create_foreign_key("of", "links", "days", ["day"], ["day"], postgresql_not_valid=True)',
        'op.execute("UPDATE links SET clicks = 0; DELETE FROM links")',
        'op.execute("TRUNCATE links")',
        'op.execute("REVOKE INSERT ON links FROM app")',
        'op.execute("CREATE TRIGGER t BEFORE INSERT ON links EXECUTE FUNCTION refuse()")',
        'op.execute("ALTER TABLE links ENABLE ROW LEVEL SECURITY")',
        "op.execute(\"DO $$ BEGIN EXECUTE 'DROP TABLE links'; END $$\")",
    ],
)
def test_what_no_rule_knows_to_be_harmless_is_refused(tmp_path: Path, upgrade: str) -> None:
    assert [finding.rule for finding in findings(migration(tmp_path, upgrade))] == ["unknown-to-add-only"]


@pytest.mark.parametrize(
    "upgrade",
    [
        'op.add_column("links", sa.Column("note", sa.Text))',
        'op.add_column("links", sa.Column("hidden", sa.Boolean, nullable=False, server_default=sa.false()))',
        'with op.batch_alter_table("links") as links:\n    links.add_column(sa.Column("note", sa.Text))',
        CONCURRENTLY + 'op.create_index("by_url", "links", ["url"], if_not_exists=True, postgresql_concurrently=True)',
        CONCURRENTLY
        + 'op.drop_index("by_url", "links", if_exists=True, postgresql_concurrently=True)\n'
        + '    op.create_index("by_url", "links", ["url"], if_not_exists=True, postgresql_concurrently=True)',
        'op.create_table("tags", sa.Column("name", sa.Text))\n'
        'op.create_index("one", "tags", ["name"], unique=True)\n'
        'op.create_check_constraint("some", "tags", "name > \'\'")',
        "op.execute(\"UPDATE links SET note = '' WHERE note IS NULL\")",
        'op.execute("ALTER TABLE links VALIDATE CONSTRAINT more")',
    ],
)
def test_one_that_only_adds_is_not(tmp_path: Path, upgrade: str) -> None:
    assert findings(migration(tmp_path, upgrade)) == []


def test_the_refusal_says_what_to_write(tmp_path: Path) -> None:
    (finding,) = findings(migration(tmp_path, REFUSED["ban-drop-column"]))
    assert str(finding) == (
        "0003_next.py: ALTER TABLE links DROP COLUMN clicks;\n"
        "  ban-drop-column: Dropping a column may break existing clients.\n"
        "  instead: let one release stop using it, and drop it with the one after\n"
        '  or, if nothing needs it any more: safe_because = {"ban-drop-column": "why"} in that file'
    )


def test_one_that_says_why_it_is_safe_is_taken(tmp_path: Path) -> None:
    why = 'safe_because = {"ban-drop-column": "no release since 0002 reads it"}'
    assert findings(migration(tmp_path, REFUSED["ban-drop-column"], why)) == []


@pytest.mark.parametrize(
    ("why", "rule"),
    [
        ('safe_because = {"ban-drop-column": " "}', "ban-drop-column"),
        ('safe_because = {"ban-drop-column": "unread", "ban-drop-table": "so"}', "needs-no-excuse"),
    ],
)
def test_an_excuse_has_a_reason_and_a_use(tmp_path: Path, why: str, rule: str) -> None:
    assert [finding.rule for finding in findings(migration(tmp_path, REFUSED["ban-drop-column"], why))] == [rule]


def test_an_excuse_for_the_lock_is_none_for_what_is_forbidden_now(tmp_path: Path) -> None:
    upgrade = 'op.create_index("one", "links", ["url"], unique=True)'
    why = 'safe_because = {"require-concurrent-index-creation": "a table of ten rows"}'
    assert [finding.rule for finding in findings(migration(tmp_path, upgrade, why))] == ["unknown-to-add-only"]


def test_an_excuse_for_not_trying_again_is_none_either(tmp_path: Path) -> None:
    upgrade = (
        "with op.get_context().autocommit_block():\n"
        '        op.create_index("one", "links", ["url"], unique=True, postgresql_concurrently=True)'
    )
    why = 'safe_because = {"prefer-robust-stmts": "a migration of its own"}'
    assert [finding.rule for finding in findings(migration(tmp_path, upgrade, why))] == ["unknown-to-add-only"]
