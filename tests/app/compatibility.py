"""Whether the release before can serve on what a migration makes: reads the SQL that it would send to Postgres.

squawk knows what breaks running clients or locks a table for long. What no rule of its knows is refused as well, unless
it is known to only add: so a statement that nobody thought of has to be explained. It knows nothing of the app, only of
Alembic. docs/how-to/write-migrations.md says what it cannot see.
"""

import io
import json
import re
import subprocess
import sys
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import Script

SQUAWK = Path(sys.executable).with_name("squawk")
OLDEST_POSTGRES = "15"
MATTERS_OF_TASTE = (
    *("prefer-bigint-over-int", "prefer-bigint-over-smallint", "prefer-identity", "prefer-text-field"),
    *("prefer-timestamp-tz", "ban-char-field", "require-enum-value-ordering"),
    # The connection has the one (app/migrations/env.py), and the unit bounds the time of all.
    *("require-lock-timeout", "require-statement-timeout"),
)

NOT_COMPATIBILITY = {
    "require-concurrent-index-creation",
    "ban-concurrent-index-creation-in-transaction",
    "constraint-missing-not-valid",
    "adding-foreign-key-constraint",
    "prefer-robust-stmts",
}
"""About how long a table is locked, and trying again. Whether the release before can go on is another question."""

ADDS = re.compile(
    r"(BEGIN|COMMIT|SELECT|INSERT INTO|UPDATE|GRANT|COMMENT ON|SET)\b"
    r"|CREATE (TABLE|INDEX|SEQUENCE|TYPE|VIEW|SCHEMA|EXTENSION)\b"
    r"|ALTER TABLE (IF EXISTS )?(ONLY )?\S+ (ADD COLUMN|VALIDATE CONSTRAINT)\b"
    r"|ALTER TYPE \S+ ADD VALUE\b",
    re.IGNORECASE,
)
"""What a release that knows nothing of it does not notice. Whether it locks for long is squawk's matter."""

MADE = re.compile(r"CREATE (?:TABLE|(?:UNIQUE )?INDEX)(?: CONCURRENTLY)?(?: IF NOT EXISTS)? (\S+)", re.IGNORECASE)
CHANGED = re.compile(
    r"(?:ALTER TABLE|DROP INDEX(?: CONCURRENTLY)?(?: IF EXISTS)?|CREATE UNIQUE INDEX .*? ON) ([^\s;]+)", re.IGNORECASE
)

EXPAND = "add the new one beside it, let a release write both and read the new one; remove the old one a release later"
CONCURRENTLY = "postgresql_concurrently=True, in `with op.get_context().autocommit_block():`"
NOT_VALID = "add it with postgresql_not_valid=True, and VALIDATE CONSTRAINT in a later migration"
INSTEAD = {
    "ban-drop-column": "let one release stop using it, and drop it with the one after",
    "ban-drop-table": "let one release stop using it, and drop it with the one after",
    "renaming-column": EXPAND,
    "renaming-table": EXPAND,
    "changing-column-type": EXPAND,
    "adding-required-field": "give it a server_default, or let it be NULL: the release before does not fill it",
    "adding-not-nullable-field": "let one release fill it always, and demand it with the one after",
    "require-concurrent-index-creation": CONCURRENTLY,
    "require-concurrent-index-deletion": CONCURRENTLY,
    "prefer-robust-stmts": "if_not_exists=True, or a migration of its own: autocommit_block() commits what is above it",
    "constraint-missing-not-valid": NOT_VALID,
    "adding-foreign-key-constraint": NOT_VALID,
    "unknown-to-add-only": "let one release keep to it already, and demand it with the one after",
    "cannot-be-read": "use `op` alone: what asks the database, or is no SQL, has to be explained",
    "needs-no-excuse": "remove it from safe_because",
}


@dataclass(frozen=True)
class Finding:
    """What a migration does that the release before may not stand."""

    path: Path
    operation: str
    rule: str
    message: str
    instead: str

    def __str__(self) -> str:
        """Name the file, the operation, the rule, and what to write."""
        lines = [f"{self.path.name}: {self.operation}", f"  {self.rule}: {self.message}"]
        if self.instead:
            lines.append(f"  instead: {self.instead}")
        if self.rule != "needs-no-excuse":
            lines.append(f'  or, if nothing needs it any more: safe_because = {{"{self.rule}": "why"}} in that file')
        return "\n".join(lines)


def findings(script: Script) -> list[Finding]:
    """Tell what is wrong with a migration and not excused by the `safe_because` in it: reasons by rule."""
    excuses: dict[str, str] = getattr(script.module, "safe_because", {})
    found = list(_read(script))
    broken = {finding.rule for finding in found}
    path = Path(script.path)
    return [
        *(finding for finding in found if not excuses.get(finding.rule, "").strip()),
        *(
            Finding(path, "safe_because", "needs-no-excuse", f"it breaks no rule {rule}", INSTEAD["needs-no-excuse"])
            for rule in excuses.keys() - broken
        ),
    ]


class _Statements(io.StringIO):
    """What Alembic writes instead of sending it, and on which line each statement begins."""

    def __init__(self) -> None:
        super().__init__()
        self.all: list[str] = []
        self.lines: list[int] = []
        self.line = 0

    def write(self, text: str) -> int:
        self.all.append(text.strip())
        self.lines.append(self.line)
        self.line += text.count("\n")
        return super().write(text)


def _read(script: Script) -> Iterator[Finding]:
    written = _Statements()
    unread = _write(script, written)
    known: set[str] = set()
    finding = Finding(Path(script.path), "upgrade()", "", "", "")
    for problem in _squawk(written.getvalue()):
        statement = written.all[bisect_right(written.lines, problem["line"]) - 1]
        rule = problem["rule_name"]
        if rule not in NOT_COMPATIBILITY:
            known.add(statement)
        instead = INSTEAD.get(rule) or problem["help"] or ""
        yield replace(finding, operation=_short(statement), rule=rule, message=problem["message"], instead=instead)
    made = set(MADE.findall(written.getvalue()))
    for statement in written.all:
        if statement not in known and not all(_only_adds(part.strip(), made) for part in statement.split(";")):
            rule, message = "unknown-to-add-only", "the release before may do what this forbids, or need what it takes"
            yield replace(finding, operation=_short(statement), rule=rule, message=message, instead=INSTEAD[rule])
    if unread:
        rule = "cannot-be-read"
        yield replace(finding, rule=rule, message=f"without a database it fails: {unread}", instead=INSTEAD[rule])


def _only_adds(statement: str, made: set[str]) -> bool:
    changed = CHANGED.match(statement)
    return not statement or bool(ADDS.match(statement) or (changed and changed[1] in made))


def _write(script: Script, written: _Statements) -> str | None:
    """Let a migration write its SQL. Returns why it cannot, None if it did."""
    context = MigrationContext.configure(
        dialect_name="postgresql", opts={"as_sql": True, "output_buffer": written, "transactional_ddl": True}
    )
    try:
        with Operations.context(context), context.begin_transaction():
            script.module.upgrade()
            # Alembic's last statement: it tells squawk what is committed together with it, and what is not.
            version = (
                f"SET version_num='{script.revision}' WHERE alembic_version.version_num = '{script.down_revision}'"
            )
            context.impl.static_output(f"UPDATE alembic_version {version};")
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


def _squawk(sql: str) -> list[dict[str, Any]]:
    done = subprocess.run(
        [SQUAWK, "--reporter=json", f"--pg-version={OLDEST_POSTGRES}", f"--exclude={','.join(MATTERS_OF_TASTE)}"],
        input=sql,
        capture_output=True,
        text=True,
        check=False,
    )
    if not done.stdout.startswith("["):
        raise RuntimeError(f"squawk failed: {done.stdout}{done.stderr}")
    problems: list[dict[str, Any]] = json.loads(done.stdout)
    return problems


def _short(statement: str) -> str:
    return " ".join(statement.split())[:200]
