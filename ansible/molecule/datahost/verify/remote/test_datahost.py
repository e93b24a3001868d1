"""What goes over the network between the app and its data, and who is refused there."""

import json
import shlex
from collections.abc import Callable
from typing import Any

import pytest
from deploys import ROOT
from fetched import fetch

ADDRESS = (ROOT / ".cache/molecule-datahost-address").read_text()

# Each connects as it is told, and prints what came of it.
POSTGRES = """
import asyncio, asyncpg, json, os, sys
url = os.environ["DATABASE_URL"]
async def main():
    try:
        connection = await asyncpg.connect(url, timeout=10, **json.loads(sys.argv[2]))
        print(await connection.fetch(sys.argv[1]))
    except (asyncpg.PostgresError, OSError) as error:
        print(type(error).__name__, error)
asyncio.run(main())
"""
BROKER = """
import os, socket, ssl, sys, urllib.parse
url = urllib.parse.urlsplit(os.environ["BROKER_URL"])
context = ssl.create_default_context(cafile="/run/data/ca.pem")
with context.wrap_socket(socket.create_connection((url.hostname, url.port), 10), server_hostname=url.hostname) as broker:
    for line in sys.argv[1:]:
        broker.sendall(line.replace("PASSWORD", url.password).encode() + b"\\r\\n")
        print(broker.recv(1000).decode())
"""


@pytest.fixture
def as_app(deployer: Any) -> Callable[..., str]:
    """Run Python in the live release, as the app."""

    def run(program: str, *arguments: str) -> str:
        words = " ".join(shlex.quote(each) for each in (program, *arguments))
        said: str = deployer.check_output(f"slipway run -- python -c {words}")
        return said

    return run


def test_the_app_serves_from_there(ask: Any, database: Any) -> None:
    assert ask("/readyz").status == 200
    connections = "SELECT DISTINCT version FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = 'app'"
    assert database.check_output(f'runuser -u postgres -- psql -At -c "{connections}"') == "TLSv1.3"


def test_its_migrations_ran_as_their_own_user(database: Any) -> None:
    owner = "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'"
    assert database.check_output(f'runuser -u postgres -- psql -At -d app -c "{owner}"') == "app_migrate"


def test_it_listens_on_the_private_address_alone(database: Any) -> None:
    lines = database.check_output("ss --no-header --listening --tcp --numeric").splitlines()
    listening = {line.split()[3] for line in lines if not line.split()[3].endswith(":22")}
    exporters = {"127.0.0.1:9100", "127.0.0.1:9121", "127.0.0.1:9187"}
    assert listening == {f"{ADDRESS}:5432", f"{ADDRESS}:6379"} | exporters


def test_the_exporters_reach_both(database: Any) -> None:
    for port, metric in ((9187, "pg_up"), (9121, "redis_up")):
        assert f"\n{metric} 1\n" in fetch(database, f"http://127.0.0.1:{port}/metrics")


@pytest.mark.parametrize(
    ("sql", "options", "expected"),
    [
        ("SELECT count(*) FROM links", {}, "count=0"),
        ("CREATE TABLE mine (i int)", {}, "InsufficientPrivilegeError"),
        ("DROP TABLE links", {}, "InsufficientPrivilegeError"),
        ("SELECT 1", {"password": "wrong"}, "InvalidPasswordError"),
        ("SELECT 1", {"user": "app_migrate"}, "InvalidPasswordError"),
        ("SELECT 1", {"user": "postgres"}, "no pg_hba.conf entry"),
        ("SELECT 1", {"ssl": False}, "no encryption"),
    ],
    ids=str,
)
def test_what_postgres_answers(as_app: Any, sql: str, options: dict[str, Any], expected: str) -> None:
    assert expected in as_app(POSTGRES, sql, json.dumps(options))


def test_another_certificate_is_refused(as_app: Any) -> None:
    elsewhere = "import os; os.environ['PGSSLROOTCERT'] = '/etc/ssl/certs/ca-certificates.crt'\n"
    assert "CERTIFICATE_VERIFY_FAILED" in as_app(elsewhere + POSTGRES, "SELECT 1", "{}")


def test_the_broker_asks_who_it_is(as_app: Any) -> None:
    said = as_app(BROKER, "PING", "AUTH app wrong", "AUTH app PASSWORD", "PING", "CONFIG GET dir")
    assert [line.split(" ")[0] for line in said.split("\n") if line.strip()] == [
        "-NOAUTH",
        "-WRONGPASS",
        "+OK",
        "+PONG",
        "-NOPERM",
    ]


def test_other_hosts_are_refused(database: Any) -> None:
    refused = database.run(
        f"PGPASSWORD=for-the-app-of-the-test psql 'host={ADDRESS} user=app dbname=app sslmode=require'"
    )
    assert "no pg_hba.conf entry" in refused.stderr


def test_an_app_host_without_files_has_nothing_to_restore_and_migrates(host: Any, ask: Any) -> None:
    backup = "/usr/local/lib/slipway/backup"
    refused = host.run(f"{backup} restore")
    assert refused.rc == 1
    assert "has no snapshot of" in refused.stderr
    unit = "journalctl --namespace=+app --output=cat --no-pager --unit='migrate@*' | wc -l"
    for command in ("restore --if-any --migrate", "migrate"):
        before = int(host.check_output(unit))
        host.check_output(f"{backup} {command}")
        assert int(host.check_output(unit)) > before
        assert ask("/readyz").status == 200
