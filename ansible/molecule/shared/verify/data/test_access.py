"""Who may do what with the data: tried as the app, as its migrations, and as others on the host."""

import json
import shlex
from collections.abc import Callable
from typing import Any

import pytest

STATEMENTS = """
import asyncio, asyncpg, json, os, sys

async def result(url, sql):
    try:
        connection = await asyncpg.connect(url or None, timeout=10)
        return repr(await connection.fetch(sql))
    except asyncpg.PostgresError as error:
        return f"{type(error).__name__}: {error}"

async def main():
    print(json.dumps([await result(url, sql) for url, sql in json.loads(sys.argv[1])]))

asyncio.run(main())
"""


@pytest.fixture
def as_app(deployer: Any) -> Callable[..., list[str]]:
    """Make statements in the live release, as the app: its user, its sandbox, its settings."""

    def results(*statements: str, url: str = "") -> list[str]:
        given = json.dumps([(url, each) for each in statements])
        said = deployer.check_output(f"slipway run -- python -c {shlex.quote(STATEMENTS)} {shlex.quote(given)}")
        answers: list[str] = json.loads(said)
        return answers

    return results


def psql(host: Any, user: str, sql: str, database: str = "app") -> Any:
    """Make a statement as a user of the host."""
    return host.run(f"runuser -u {user} -- psql --no-psqlrc -At -v ON_ERROR_STOP=1 -d {database} -c {shlex.quote(sql)}")


def test_the_app_serves_from_postgres_without_a_network(host: Any, ask: Any, status: Any) -> None:
    assert ask("/readyz").status == 200
    shown = host.check_output(
        f"systemctl show --property=PrivateNetwork,PrivateUsers,User app@{status['live']}.service"
    )
    assert set(shown.splitlines()) == {"PrivateNetwork=yes", "PrivateUsers=yes", "User=app"}
    assert int(psql(host, "postgres", "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app'").stdout) > 0
    assert not host.file("/var/lib/app/app.db").exists


def test_nothing_listens_on_an_address(host: Any) -> None:
    lines = host.check_output("ss --no-header --listening --tcp --udp --numeric").splitlines()
    # The exporters of metrics are on the loopback.
    addresses = {line.split()[4] for line in lines if not line.split()[4].startswith("127.0.0.1:")}
    assert {each.rpartition(":")[2] for each in addresses} == {"22", "80"}


def test_its_memory_follows_from_the_hosts(host: Any) -> None:
    pages, size = (int(host.check_output(f"getconf {name}")) for name in ("_PHYS_PAGES", "PAGE_SIZE"))
    share = int((pages * size >> 20) * 0.25)
    wanted = {"shared_buffers": share // 4, "effective_cache_size": share // 2, "maintenance_work_mem": share // 16}
    for setting, megabytes in wanted.items():
        sql = f"SELECT pg_size_bytes(current_setting('{setting}')) >> 20"
        assert int(psql(host, "postgres", sql).stdout) == megabytes, setting


def test_the_app_reads_and_writes_rows(as_app: Callable[..., list[str]]) -> None:
    inserted, deleted = as_app(
        "INSERT INTO links (slug, url, created_at) VALUES ('by-test', 'https://example.org', now()) RETURNING slug",
        "DELETE FROM links WHERE slug = 'by-test' RETURNING url",
    )
    assert inserted == "[<Record slug='by-test'>]"
    assert "https://example.org" in deleted


REFUSED = [
    "CREATE TABLE mine (i int)",
    "CREATE TEMPORARY TABLE mine (i int)",
    "CREATE SCHEMA mine",
    "ALTER TABLE links ADD COLUMN mine int",
    "DROP TABLE links",
    "TRUNCATE links",
    "SET ROLE app_migrate",
    "CREATE DATABASE mine",
    "COPY (SELECT 1) TO PROGRAM 'id'",
]


def test_the_app_creates_and_drops_nothing(as_app: Callable[..., list[str]]) -> None:
    for statement, said in zip(REFUSED, as_app(*REFUSED), strict=True):
        assert said.startswith("InsufficientPrivilegeError"), f"{statement}: {said}"


@pytest.mark.parametrize("user", ["app_migrate", "postgres"])
def test_the_app_connects_as_nobody_else(as_app: Callable[..., list[str]], user: str) -> None:
    (refused,) = as_app("SELECT 1", url=f"postgresql://{user}@/app?host=/run/postgresql")
    assert "Peer authentication failed" in refused


def test_its_migrations_create_and_drop(host: Any) -> None:
    done = psql(host, "app_migrate", "CREATE TABLE of_a_test (id serial, name text)")
    assert done.rc == 0, done.stderr
    # What they create the app may use, without another word.
    done = psql(host, "app", "INSERT INTO of_a_test (name) VALUES ('a') RETURNING id")
    assert done.stdout.splitlines()[0] == "1", done.stderr
    assert psql(host, "app_migrate", "DROP TABLE of_a_test").rc == 0


def test_they_ran_as_a_user_of_their_own(host: Any, status: Any) -> None:
    shown = host.check_output(f"systemctl show --property=User --value migrate@{status['live']}.service")
    assert shown == "app_migrate"
    assert psql(host, "postgres", "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'").stdout == (
        "app_migrate\n"
    )
    assert host.file("/var/lib/app").user == "app"


@pytest.mark.parametrize("user", ["deploy", "www-data", "admin"])
def test_others_on_the_host_are_refused(host: Any, user: str) -> None:
    for role in ("app", "app_migrate", "postgres"):
        refused = host.run(f"runuser -u {user} -- psql -U {role} -d app -c 'SELECT 1'")
        assert "Peer authentication failed" in refused.stderr or "no pg_hba.conf entry" in refused.stderr


def test_a_table_of_the_app_keeps_no_order_of_the_c_library(host: Any) -> None:
    shown = psql(
        host, "postgres", "SELECT pg_encoding_to_char(encoding), datcollate FROM pg_database WHERE datname = 'app'"
    )
    assert shown.stdout == "UTF8|C.UTF-8\n"


BROKER = """
import socket, sys
with socket.socket(socket.AF_UNIX) as broker:
    broker.connect('/run/broker/broker.sock')
    for line in sys.argv[1:]:
        broker.sendall(line.encode() + b'\\r\\n')
        print(broker.recv(1000).decode())
"""


def test_the_app_uses_the_broker(deployer: Any) -> None:
    commands = ["LPUSH of-a-test a", "RPOP of-a-test", "CONFIG GET dir", "SHUTDOWN", "MODULE LIST", "PING"]
    said = deployer.check_output(
        f"slipway run -- python -c {shlex.quote(BROKER)} {' '.join(shlex.quote(each) for each in commands)}"
    )
    assert said.split()[:3] == [":1", "$1", "a"]
    assert said.count("NOPERM") == 3
    assert "+PONG" in said


@pytest.mark.parametrize("user", ["deploy", "www-data", "admin", "app_migrate"])
def test_nobody_else_does(host: Any, user: str) -> None:
    refused = host.run(f"runuser -u {user} -- python3 -c {shlex.quote(BROKER)} PING")
    assert "PermissionError" in refused.stderr


def test_a_task_is_still_there_after_a_restart(host: Any) -> None:
    name = "valkey-server" if host.package("valkey-server").is_installed else "redis-server"
    put, get = (
        f"runuser -u app -- python3 -c {shlex.quote(BROKER)} '{command}'" for command in ("LPUSH kept a", "RPOP kept")
    )
    host.check_output(put)
    host.check_output(f"systemctl restart {name}")
    # By the folder that the app has bound, since the socket is another one now.
    assert host.check_output(get).split() == ["$1", "a"]
