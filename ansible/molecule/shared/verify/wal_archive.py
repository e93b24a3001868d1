"""Orders of a shop, and WAL that brings them back."""

import time
from typing import Any

ARCHIVE = "/var/lib/slipway-wal"
SECONDS = 10
"""backup_wal_seconds of steps/drivers.yml."""
MARGIN = 20
"""Seconds in which a busy machine copies a file of WAL."""


def shell(host: Any, script: str) -> str:
    """Run a script as root."""
    done = host.run(f"cd / && set -e\n{script}")
    assert done.rc == 0, done.stdout + done.stderr
    return str(done.stdout).strip()


def order(host: Any, what: str) -> str:
    """Write an order. Returns the file of WAL that it is in."""
    sql = f"INSERT INTO orders (what) VALUES ('{what}'); SELECT pg_walfile_name(pg_current_wal_insert_lsn())"
    return shell(host, f'runuser -u app_migrate -- psql -qAtd app -c "{sql}"')


def orders(host: Any) -> int:
    """Count the orders."""
    return int(shell(host, "runuser -u postgres -- psql -Atd app -c 'SELECT count(*) FROM orders'"))


def archived(host: Any, segment: str, patience: float = SECONDS + MARGIN) -> float:
    """Wait until a file of WAL is in the repository, and return how many seconds that took."""
    began = time.monotonic()
    while host.run(f"cd {ARCHIVE}; [ -e segments/{segment}.gz ] && [ ! -e new/{segment} ]").rc:
        assert time.monotonic() - began < patience, shell(host, f"ls {ARCHIVE}/*; journalctl -u backup@wal -n 20")
        time.sleep(0.2)
    return time.monotonic() - began
