"""What is wrong with the data host is told, by a real webhook there: each kind caused for real."""

import json
import shlex
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from wal_archive import shell

REPOSITORY = "/srv/backup"
GOT = "/run/receiver.jsonl"
SECONDS = 60
KEYS = ("backup:backup", "backup:restore_test", "backup:wal")
POSTGRESQL = "$(systemctl list-units --plain --no-legend 'postgresql@*.service' | cut -d' ' -f1)"


@dataclass
class Told:
    """What the webhook was told."""

    host: Any

    def events(self, key: str) -> list[str]:
        """Return begin and over, of one kind."""
        documents = [json.loads(line) for line in shell(self.host, f"cat {GOT} 2>/dev/null || true").splitlines()]
        return [each["event"] for each in documents if each["key"] == key]

    def check(self, times: int = 2) -> None:
        for _ in range(times):
            shell(self.host, "systemctl start alerts.service")

    def until(self, key: str, events: list[str]) -> None:
        """Wait for what nobody here asks for."""
        deadline = time.monotonic() + SECONDS
        while (found := self.events(key)) != events:
            assert time.monotonic() < deadline, f"{key}: {found}; {shell(self.host, 'journalctl -u alerts -n 50')}"
            time.sleep(0.5)

    def is_over(self, *keys: str) -> None:
        """Each was told once, and is over."""
        self.check()
        assert [self.events(key) for key in keys] == [["begin", "over"]] * len(keys)


@pytest.fixture(scope="module")
def told(database: Any) -> Iterator[Told]:
    """A receiver on the data host, until the module ends."""
    program = Path(__file__).with_name("receiver.py").read_text()
    shell(
        database,
        f"systemd-run --quiet --collect --unit=receiver python3 -c {shlex.quote(program)} {GOT}\n"
        "for i in $(seq 100); do ss -Hltn | grep -q :8025 && exit; sleep 0.1; done; exit 1",
    )
    # The test calls each check: by its timer one could come between two lines.
    shell(database, "systemctl stop alerts.timer")
    sql(database, "CREATE TABLE orders AS SELECT n FROM generate_series(1, 1000) n")
    yield Told(database)
    sql(database, "DROP TABLE orders")
    shell(database, f"systemctl stop receiver; rm -f {GOT}; systemctl start alerts.timer")


def sql(host: Any, command: str) -> None:
    """Change the app's database."""
    shell(host, f"runuser -u postgres -- psql -qd app -c {shlex.quote(command)}")


def status(host: Any) -> Any:
    """What the host tells to a login without rights."""
    return json.loads(shell(host, "runuser -u nobody -- slipway status --json"))


def test_all_is_well_before(database: Any, told: Told) -> None:
    shell(database, "systemctl start backup@nightly; systemctl start backup@wal restore-test")
    told.check()
    found = status(database)
    assert found["state"] == "healthy", found
    assert {name: each["state"] for name, each in found["backup"].items()} == dict.fromkeys(found["backup"], "ok")
    assert set(found["backup"]) == {"backup", "restore_test", "wal"}
    assert [key for key in KEYS if told.events(key)] == []


def test_a_repository_that_is_away_is_told_by_all_who_need_it(database: Any, told: Told) -> None:
    shell(database, f"mv {REPOSITORY} /root/away")
    try:
        database.run("systemctl start backup@nightly")
        told.until(KEYS[0], ["begin"])  # by OnFailure=: no timer runs
        database.run("systemctl start restore-test")
        told.until(KEYS[1], ["begin"])
        sql(database, "INSERT INTO orders VALUES (0)")
        told.until(KEYS[2], ["begin"])
        told.check()
        assert [told.events(key) for key in KEYS] == [["begin"]] * len(KEYS)
        assert "is the folder mounted" in status(database)["backup"]["backup"]["cause"]
    finally:
        shell(database, f"rm -rf {REPOSITORY}; mv /root/away {REPOSITORY}")
    shell(database, "systemctl start backup@nightly restore-test backup@wal")
    told.is_over(*KEYS)


def test_postgresql_that_does_not_start(database: Any, told: Told) -> None:
    unit = shell(database, f"echo {POSTGRESQL}")
    broken = "/etc/postgresql/*/main/conf.d"
    shell(database, f"cd {broken}; echo 'nonsense = 1' >99-broken.conf")
    try:
        database.run(f"systemctl restart {unit}")
        # systemd starts it again and again, so it never stays failed.
        restarts = f"[ $(systemctl show --property=NRestarts --value {unit}) -ge 3 ]"
        shell(database, f"for i in $(seq {SECONDS}); do {restarts} && exit; sleep 1; done; exit 1")
        told.check(1)
        assert told.events(f"restarts:{unit}") == ["begin"]
        found = status(database)
        assert found["state"] == "unhealthy"
        assert found["services"][unit] != "active"
    finally:
        shell(database, f"rm {broken}/99-broken.conf; systemctl restart {unit}")
    assert status(database)["state"] == "healthy"


def test_postgresql_that_somebody_stopped(database: Any, told: Told) -> None:
    unit = shell(database, f"echo {POSTGRESQL}")
    shell(database, f"systemctl stop {unit}")
    try:
        told.check(3)
        assert told.events(f"service:{unit}") == ["begin"]
    finally:
        shell(database, f"systemctl start {unit}")
    told.is_over(f"service:{unit}")


def test_a_service_that_fails(database: Any, told: Told) -> None:
    database.run("systemd-run --quiet --wait --unit=nightly-copy /bin/false")
    told.until("unit:nightly-copy.service", ["begin"])
    assert "nightly-copy.service failed" in [each["title"] for each in status(database)["problems"]]
    shell(database, "systemctl reset-failed nightly-copy")
    told.is_over("unit:nightly-copy.service")


def test_a_disk_that_is_nearly_full(database: Any, told: Told) -> None:
    shell(database, "mount -t tmpfs -o size=16m none /var/log; fallocate -l 15700k /var/log/full")
    try:
        told.check(1)
        assert told.events("disk:/var/log") == ["begin"]
    finally:
        shell(database, "umount --lazy /var/log")
    told.is_over("disk:/var/log")


def test_a_pending_reboot(database: Any, told: Told) -> None:
    shell(database, "echo linux-image >/run/reboot-required.pkgs; touch /run/reboot-required")
    told.check(1)
    assert told.events("reboot") == ["begin"]
    shell(database, "rm /run/reboot-required*")
    told.is_over("reboot")


def test_who_has_no_rights_sees_the_status_and_no_secret(database: Any, told: Told) -> None:
    assert "restore test" in shell(database, "runuser -u nobody -- slipway status")
    for file in ("/etc/slipway/alerts.json", "/etc/slipway/backup/password", "/etc/slipway/backup/settings.json"):
        assert database.run(f"runuser -u nobody -- cat {file}").rc, file
    told.check()
    for command in ("journalctl --no-pager -u alerts", "systemctl show alerts.service", "slipway status --json"):
        assert "T0KEN" not in shell(database, command), command


def test_the_app_host_looks_at_its_site_as_deploy(host: Any) -> None:
    shell(host, "systemctl start alerts.service")
    assert (
        host.check_output("systemctl show --property=SupplementaryGroups --value alerts")
        == "systemd-journal deploy adm"
    )
    assert "cannot be read" not in host.check_output("journalctl --unit=alerts --output=cat --no-pager")
