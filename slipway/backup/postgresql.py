"""The app's database: dumped with its rows counted in the same snapshot, and restored beside the one in use."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

from slipway.backup.process import options, run, tail
from slipway.backup.settings import DATABASE, BackupError

USER, OWNER = "postgres", "app_migrate"
SCRATCH = "slipway_restore"
"""Where a dump is restored: pg_hba.conf lets the user postgres connect to it as app_migrate."""
_PSQL = ("psql", "--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--set=ON_ERROR_STOP=1")

_COUNTS = """
SELECT coalesce(json_object_agg(
    n.nspname || '.' || c.relname,
    (xpath('/row/c/text()', query_to_xml(
        format('SELECT count(*) AS c FROM ONLY %I.%I', n.nspname, c.relname), false, true, '')))[1]::text::bigint
), '{}')
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence <> 't'
    AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                    WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
""".replace("\n", " ")
"""The rows of each table, as JSON. Those of an extension are not dumped."""
ARCHIVER = """
SELECT json_build_object('mode', current_setting('archive_mode'), 'failing',
    (SELECT last_failed_wal FROM pg_stat_archiver WHERE last_failed_time > coalesce(last_archived_time, '-infinity')))
"""
"""Whether PostgreSQL archives, and the file that it cannot archive."""
_PLACE = "SELECT pg_current_wal_insert_lsn()"
_SEGMENT = re.compile(r"START WAL LOCATION: \S+ \(file ([0-9A-F]{24})\)")
_EXTENSIONS = "SELECT coalesce(json_agg(extname), '[]') FROM pg_catalog.pg_extension WHERE extname <> 'plpgsql'"


def query(sql: str, database: str = DATABASE) -> str:
    """Run SQL as PostgreSQL's superuser.

    Raises:
        BackupError: it failed.
    """
    return run([*_PSQL, f"--dbname={database}", "--file=-"], USER, text=sql).strip()


def size(database: str = DATABASE) -> int:
    """The bytes of a database on the disk."""
    return int(query(f"SELECT pg_database_size('{database}')", "postgres"))


def cluster_size() -> int:
    """The bytes of all databases on the disk."""
    return int(query("SELECT sum(pg_database_size(oid)) FROM pg_database", "postgres"))


def first_segment(backup_label: str) -> str:
    """Return the file of WAL with which a base backup begins.

    Raises:
        BackupError: its backup_label names none.
    """
    if not (found := _SEGMENT.search(backup_label)):
        raise BackupError("pg_basebackup wrote no backup_label: is another program's backup mixed in?")
    return found[1]


def is_before(name: str, segment: str) -> bool:
    """Whether a file of the archive is older than a segment: the names without their timeline are in order."""
    return name[8:24] < segment[8:24]


def lsn(text: str) -> int:
    """Return a place in the WAL as a number."""
    high, low = text.split("/")
    return int(high, 16) << 32 | int(low, 16)


def rows(database: str = DATABASE) -> dict[str, int]:
    """The rows of each table."""
    counted: dict[str, int] = json.loads(query(f"SET search_path = ''; {_COUNTS}", database))
    return counted


def dump(target: Path, database: str = DATABASE) -> dict[str, Any]:
    """Dump the app's database, and count the rows that the dump has.

    Returns `tables`, the rows of each, `extensions`, and `lsn`, a place in the WAL that has all of it.

    Raises:
        BackupError: it failed.
    """
    with subprocess.Popen(
        [*_PSQL, f"--dbname={database}", "--file=-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options(USER),
    ) as session:
        assert session.stdin
        assert session.stdout
        assert session.stderr
        # psql ends with its input, also after an error: the unit of backups may not kill another user's process.
        # Until the end of this transaction all that takes part sees the same rows.
        session.stdin.write(
            "SET idle_in_transaction_session_timeout = 0; SET search_path = '';\n"
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;\nSELECT pg_export_snapshot();\n"
        )
        session.stdin.flush()
        snapshot = session.stdout.readline().strip()
        if not snapshot:
            raise BackupError(f"psql failed: {tail(session.stderr.read().encode())}")
        # Uncompressed: restic compresses, and finds again what was the same yesterday.
        command = ["pg_dump", "--format=custom", "--compress=0", f"--snapshot={snapshot}", database]
        with target.open("wb") as file:
            run(command, USER, target=file)
        output, error = session.communicate(f"{_COUNTS};\n{_EXTENSIONS};\n{_PLACE};\nCOMMIT;\n")
    if session.returncode:
        raise BackupError(f"psql failed: {tail(error.encode())}")
    counted, extensions, place = output.strip().splitlines()
    return {"tables": json.loads(counted), "extensions": json.loads(extensions), "lsn": place}


def restore(dumped: Path, extensions: list[str]) -> None:
    """Restore a dump into the scratch database.

    As the database's owner: what is in the dump, an app's migrations wrote, and it does not run as the superuser.

    Raises:
        BackupError: it failed.
    """
    drop()
    query(
        f"CREATE DATABASE {SCRATCH} OWNER {OWNER} TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C.UTF-8';\n"
        f"REVOKE ALL ON DATABASE {SCRATCH} FROM PUBLIC;",
        "postgres",
    )
    quoted = [name.replace('"', '""') for name in extensions]
    query("".join(f'CREATE EXTENSION IF NOT EXISTS "{name}" CASCADE;\n' for name in quoted), SCRATCH)
    # Only who owns an extension may comment on it.
    comments = ["--no-comments"] if extensions else []
    command = ["pg_restore", "--exit-on-error", "--no-owner", *comments, f"--username={OWNER}", f"--dbname={SCRATCH}"]
    with dumped.open("rb") as file:
        run(command, USER, source=file)


def drop() -> None:
    """Drop the scratch database."""
    query(f"DROP DATABASE IF EXISTS {SCRATCH} WITH (FORCE)", "postgres")


def exchange(kept: str) -> None:
    """Make the scratch database the app's. The app's old database stays under the name `kept`.

    Raises:
        BackupError: it failed; the app has the database that it had.
    """
    allow = "ALTER DATABASE {} ALLOW_CONNECTIONS {};"
    names = f"'{DATABASE}', '{SCRATCH}'"
    statements = [
        # Nobody connects between the two names.
        allow.format(DATABASE, "false"),
        f"SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity WHERE datname IN ({names});",  # noqa: S608
        "BEGIN;",
        f"ALTER DATABASE {DATABASE} RENAME TO {kept};",
        f"ALTER DATABASE {SCRATCH} RENAME TO {DATABASE};",
        f"GRANT CONNECT ON DATABASE {DATABASE} TO app;",
        "COMMIT;",
        allow.format(kept, "true"),
    ]
    try:
        query("\n".join(statements), "postgres")
    except BackupError:
        query(allow.format(DATABASE, "true"), "postgres")
        raise
