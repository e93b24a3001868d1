"""PostgreSQL's WAL follows the backup: orders that were written later come back; and what keeps it from that is told."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from wal_archive import ARCHIVE, MARGIN, SECONDS, archived, order, orders, shell

BACKUP = "/usr/local/lib/slipway/backup"
CREATE = """runuser -u app_migrate -- psql -qd app -c "
    DROP TABLE IF EXISTS orders;
    CREATE TABLE orders (id serial PRIMARY KEY, what text);
    INSERT INTO orders (what) SELECT 'order ' || n FROM generate_series(1, 1000) n"
systemctl start backup@nightly"""
SWITCH = "runuser -u postgres -- psql -qAtc 'SELECT pg_switch_wal()' >/dev/null"

State = Callable[[], Any]


@pytest.fixture
def state(deployer: Any) -> State:
    """What the status tells `deploy` of WAL."""
    return lambda: json.loads(deployer.check_output("slipway status --json"))["backup"]["wal"]


def until(condition: Callable[[], bool], patience: float = 60) -> None:
    """Wait for something."""
    end = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.5)


def test_orders_after_the_last_backup_come_back(host: Any, state: State, ask: Any) -> None:
    shell(host, CREATE)
    seconds = archived(host, order(host, "after the backup"))
    print(f"in the repository {seconds:.1f} s after the commit")
    assert seconds < SECONDS + MARGIN
    assert state()["state"] == "ok"
    time.sleep(1)
    before = shell(host, "date --utc +%Y-%m-%dT%H:%M:%S.%N | cut -c1-26")
    shell(host, "runuser -u app_migrate -- psql -qd app -c 'DELETE FROM orders WHERE id < 500'")
    archived(host, order(host, "to be undone"))

    # The moment before a mistake.
    told = shell(host, f"{BACKUP} restore --at {before} --replace --migrate")
    assert "PostgreSQL is as after its last archived transaction" in told
    assert orders(host) == 1001
    assert (
        shell(host, "runuser -u postgres -- psql -Atd app -c 'SELECT what FROM orders WHERE id > 1000'")
        == "after the backup"
    )
    assert ask("/readyz").status == 200
    assert shell(host, "ls /var/lib/slipway-backup/scratch 2>&1 || true").startswith("ls: cannot access"), (
        "no copy stays"
    )

    # The last moment, which the new database's WAL has.
    shell(host, "systemctl start backup@nightly")
    archived(host, order(host, "last"))
    shell(host, f"{BACKUP} restore --replace --migrate")
    assert orders(host) == 1002


@pytest.mark.catalogue
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("--at yesterday", "must be a moment of the past in UTC"),
        ("--at 2999-01-01T00:00", "must be a moment of the past in UTC"),
        ("--at 2020-01-01T00:00", "no snapshot is older than 2020-01-01T00:00:00+00:00"),
        ("--at 2026-01-01T00:00 --snapshot 1a2b3c4d", "exclude each other"),
    ],
)
def test_a_moment_that_cannot_be_restored_is_refused(host: Any, arguments: str, told: str) -> None:
    done = host.run(f"{BACKUP} restore {arguments} --replace")
    assert done.rc == 1
    assert told in done.stderr


def test_wal_that_postgresql_cannot_archive_is_told(host: Any, state: State) -> None:
    shell(host, f"mv {ARCHIVE}/part {ARCHIVE}/away")
    try:
        order(host, "not archived")
        shell(host, SWITCH)
        until(lambda: host.run("systemctl start backup@wal").rc != 0)
        assert "PostgreSQL cannot archive 0000" in state()["cause"]
        told = shell(host, "slipway status")
        assert "WAL: failed at" in told
        orders(host)  # the database goes on
    finally:
        shell(host, f"mv {ARCHIVE}/away {ARCHIVE}/part")
    until(lambda: state()["state"] == "ok", 120)


@pytest.mark.catalogue
def test_a_repository_that_is_away_gets_what_it_missed(host: Any, state: State) -> None:
    shell(host, "mv /srv/backup /srv/away")
    try:
        segment = order(host, "while it is away")
        until(lambda: state()["state"] == "failed")
        assert "is the folder mounted" in state()["cause"]
        assert shell(host, f"ls {ARCHIVE}/new")
    finally:
        shell(host, "mv /srv/away /srv/backup")
    archived(host, segment, 90)
    until(lambda: state()["state"] == "ok")


@pytest.mark.catalogue
def test_a_disk_that_is_nearly_full_costs_wal_and_not_the_database(host: Any, state: State) -> None:
    """The gap ends with a base backup of its own."""
    shell(
        host,
        f"cp -a {ARCHIVE} /root/archive; mount -t tmpfs -o size=200m,mode=0700,uid=postgres,gid=postgres small {ARCHIVE};"
        f"cp -a /root/archive/. {ARCHIVE}; head -c 185M /dev/zero >{ARCHIVE}/filler;"
        "systemctl restart backup-wal.path",  # which looked at the folder below
    )
    try:
        before = state()["base"]
        order(host, "in the gap")
        shell(host, SWITCH)
        until(lambda: host.run(f"test -e {ARCHIVE}/dropped").rc == 0)
        order(host, "the database goes on")
        shell(host, f"rm {ARCHIVE}/filler; systemctl start backup@wal")
        until(lambda: state()["state"] == "ok" and state()["base"] != before)
        archived(host, order(host, "after the gap"))
    finally:
        shell(
            host,
            f"systemctl stop backup-wal.path; cp -a {ARCHIVE}/. /root/archive; umount {ARCHIVE}; cp -a /root/archive/. {ARCHIVE};"
            "rm -r /root/archive; systemctl start backup-wal.path",
        )
    count = orders(host)
    shell(host, f"{BACKUP} restore --replace --migrate")
    assert orders(host) == count
