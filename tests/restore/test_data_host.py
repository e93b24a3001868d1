"""A data host of its own: it is seen from here, and when it is lost it comes back on a new machine."""

import json

from tests.restore import shop
from tests.restore.conftest import Shop


def test_status_and_doctor_have_its_backup_restore_test_and_disk(apart: Shop) -> None:
    apart.write("first")
    apart.backup()
    apart.data.shell("systemctl start restore-test")
    told = apart.status("db1")
    assert told["state"] == "healthy", told
    # A container has no clock of its own to synchronise.
    assert {each["key"] for each in told["problems"]} <= {"clock"}
    assert told["backup"]["backup"]["state"] == told["backup"]["restore_test"]["state"] == "ok"
    assert told["backup"]["restore_test"]["rows"] == told["backup"]["backup"]["rows"] > 0
    assert told["disk"]["free_bytes"] > 0

    text = apart.slipway("status", "production")
    assert "db1: healthy" in text
    assert "www1: healthy" in text
    assert "restore test: 20" in text

    found = json.loads(apart.installed.slipway("doctor", "production", "--json", cwd=apart.folder).stdout)["findings"]
    of_data_host = {each["check"]: each for each in found if each["where"] == "db1"}
    assert {"backup", "restore test", "disk"} <= set(of_data_host)
    assert {name for name, each in of_data_host.items() if each["state"] == "wrong"} == set()


def test_what_is_wrong_there_is_told_here(apart: Shop) -> None:
    apart.data.shell("systemctl stop 'postgresql@*'; mv /etc/slipway/backup/password /root")
    apart.data.run("systemctl start backup@nightly")
    try:
        told = apart.status("db1")
        assert told["state"] == "unhealthy"
        assert told["backup"]["backup"]["state"] == "failed"
        found = json.loads(apart.installed.slipway("doctor", "production", "--json", cwd=apart.folder).stdout)
        wrong = {each["check"] for each in found["findings"] if each["where"] == "db1" and each["state"] == "wrong"}
        assert {"backup", "service"} <= wrong
    finally:
        apart.data.shell("mv /root/password /etc/slipway/backup; systemctl start 'postgresql@17-main'")
    apart.backup()


def test_nobody_without_rights_reads_the_password(apart: Shop) -> None:
    apart.data.shell("useradd --create-home somebody")
    assert json.loads(apart.data.shell("runuser -u somebody -- slipway status --json"))["backup"]
    for command in ("cat /etc/slipway/backup/password", "ls /etc/slipway/backup", "cat /etc/slipway/alerts.json"):
        assert apart.data.run(f"runuser -u somebody -- {command}").returncode, command


def test_a_data_host_that_is_destroyed_comes_back_and_the_app_host_keeps_its_files(apart: Shop) -> None:
    apart.write("before")
    apart.backup()
    rows = apart.status("db1")["backup"]["backup"]["rows"]
    # A release that the backup does not know: its migration runs again after the restore.
    (apart.folder / "migrations/0002_rename.sql").write_text(shop.RENAME)
    (apart.folder / "main.py").write_text(shop.RENAMED_MAIN)
    apart.slipway("deploy", "production")
    apart.write("after-the-backup")

    apart.new_machine(apart.data)
    apart.slipway("provision", "production")
    told = apart.slipway("restore", "production", "--host", "db1")
    assert f"{rows} rows in" in told
    assert "lost: what was written since then (0 h" in told
    assert apart.notes() == {
        "postgresql": ["before", "first"],
        "sqlite": ["after-the-backup", "before", "first"],
        "files": ["after-the-backup", "before", "first"],
    }
    assert apart.status()["state"] == "healthy"
    assert apart.status("db1")["state"] == "healthy"
