"""Backups made, tried out and brought back; their faults, each with its cause in the status; and a host that is destroyed."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import testinfra
from deploys import HOSTS, NAME, ROOT, run_playbook
from wal_archive import archived, order, shell

from tools.checkout import CHECKOUT

BACKUP = "/usr/local/lib/slipway/backup"
REPOSITORY = "/srv/backup"
VARIABLES = {"backup_repository": REPOSITORY, "backup_password": "tests-only-" + 20 * "x", "backup_wal_seconds": 10}
"""Those of steps/drivers.yml."""
FILL = """
runuser -u app_migrate -- psql -qd app -c "
    DROP TABLE IF EXISTS orders;
    CREATE TABLE orders (id serial PRIMARY KEY, what text);
    COMMENT ON TABLE orders IS 'of the shop';
    INSERT INTO orders (what) SELECT 'order ' || n FROM generate_series(1, 1000) n"
runuser -u app -- sh -c 'umask 027; mkdir -p /var/lib/app/uploads; echo kept >/var/lib/app/uploads/a.txt'
runuser -u app -- ln -sfn /etc/shadow /var/lib/app/uploads/link
runuser -u app -- python3 -c "
import sqlite3
database = sqlite3.connect('/var/lib/app/uploads/x.db')
database.execute('PRAGMA journal_mode=WAL')
database.execute('CREATE TABLE IF NOT EXISTS seen (n)')
database.execute('DELETE FROM seen')
database.executemany('INSERT INTO seen VALUES (?)', [(n,) for n in range(50)])
database.commit()"
"""
DESTROY = """
runuser -u app_migrate -- psql -qd app -c 'DROP TABLE orders'
rm -r /var/lib/app/uploads
"""
FOUND = """
cd /
runuser -u postgres -- psql -Atd app -c "SELECT count(*), obj_description('orders'::regclass), tableowner,
    has_table_privilege('app', 'orders', 'INSERT') FROM orders, pg_tables WHERE tablename = 'orders' GROUP BY 2, 3, 4"
cat /var/lib/app/uploads/a.txt
stat --format='%A %U %G' /var/lib/app/uploads/a.txt
readlink /var/lib/app/uploads/link
runuser -u app -- python3 -c "
import sqlite3
print(*sqlite3.connect('/var/lib/app/uploads/x.db').execute('SELECT count(*) FROM seen').fetchone())"
"""
CAME_BACK = ["1000|of the shop|app_migrate|t", "kept", "-rw-r----- app app", "/etc/shadow", "50"]


@pytest.fixture
def state(deployer: Any) -> Callable[[], Any]:
    """What the status says of backups, to the user `deploy`."""
    return lambda: json.loads(deployer.check_output("slipway status --json"))["backup"]


@pytest.fixture
def fails(host: Any, state: Callable[[], Any]) -> Callable[..., str]:
    """Start a unit that must fail, and return the cause in the status."""

    def start(unit: str = "backup@nightly", what: str = "backup") -> str:
        assert host.run(f"systemctl start {unit}").rc != 0
        found = state()[what]
        assert found["state"] == "failed"
        return str(found["cause"])

    return start


@pytest.fixture
def repository(host: Any) -> Iterator[None]:
    """The repository as it was, in the end."""
    shell(host, f"cp -a {REPOSITORY} /root/repository")
    yield
    shell(host, f"umount {REPOSITORY} 2>/dev/null || true; rm -rf {REPOSITORY}; mv /root/repository {REPOSITORY}")
    shell(host, "systemctl start backup@nightly")


def test_a_deploy_made_a_backup_before_its_migrations(host: Any, status: Any) -> None:
    assert status["backup"]["backup"]["state"] in {"ok", "empty"}
    lines = host.check_output(f"journalctl --output=cat --unit=backup@{status['live']}")
    assert "snapshot " in lines or "nothing to back up yet" in lines


def test_backups_are_made_when_the_variable_says(host: Any) -> None:
    found = host.check_output("systemctl show backup.timer --property=TimersCalendar")
    assert "OnCalendar=*-*-* 02:30:00 Europe/Berlin" in found
    assert "01:00:00" not in found


def test_what_is_lost_comes_back(host: Any, state: Callable[[], Any], ask: Any) -> None:
    # One after the other: started at once, either may be first, and there is a snapshot of the last deploy.
    shell(host, f"{FILL} systemctl start backup@nightly; systemctl start restore-test")
    found = state()
    assert {each["state"] for each in found.values()} == {"ok"}
    assert found["restore_test"]["wal_rows"] > 1000
    assert found["restore_test"]["snapshot"] == found["backup"]["snapshot"]
    assert found["restore_test"]["rows"] == found["backup"]["rows"] > 1050
    refused = host.run(f"{BACKUP} restore")
    assert refused.rc == 1
    assert "1000 rows in public.orders" in refused.stderr
    assert "--replace" in refused.stderr

    shell(host, DESTROY)
    # Without the snapshot's name the WAL would bring back what it has of DESTROY, too.
    told = shell(host, f"{BACKUP} restore --snapshot {found['backup']['snapshot']} --replace --migrate")
    assert shell(host, FOUND).splitlines() == CAME_BACK
    assert "lost: what was written since then (0 h" in told
    kept = next(line for line in told.splitlines() if "kept aside: database" in line).split()[-1]
    assert shell(host, f"runuser -u postgres -- psql -Atd {kept} -c \"SELECT to_regclass('orders') IS NULL\"") == "t"
    assert ask("/readyz").status == 200
    # With WAL a restore starts a backup of what came back.
    shell(host, "systemctl start backup@nightly")
    assert shell(host, "ls /var/lib/slipway-backup | grep -v -e before- -e json -e lock || true") == "", "no copy stays"


@pytest.mark.catalogue
def test_deploy_reads_no_secret_of_backups_and_starts_those_before_migrations_only(deployer: Any) -> None:
    assert deployer.run("ls /etc/slipway/backup").rc != 0
    assert deployer.run(f"{BACKUP} restic snapshots").rc == 2
    for unit in ("backup@nightly", "backup@x", "restore-test", "backup.timer"):
        assert deployer.run(f"systemctl --no-ask-password start {unit}").rc != 0, unit


@pytest.mark.catalogue
def test_a_wrong_password(host: Any, fails: Callable[..., str]) -> None:
    shell(host, "cp -a /etc/slipway/backup/password /root/password; echo wrong >/etc/slipway/backup/password")
    try:
        assert "backup_password does not open it" in fails()
        assert "backup_password does not open it" in fails("restore-test", "restore_test")
    finally:
        shell(host, "mv /root/password /etc/slipway/backup/password; systemctl start backup@nightly restore-test")


@pytest.mark.catalogue
def test_a_folder_that_is_not_mounted(host: Any, repository: None, fails: Callable[..., str]) -> None:
    shell(host, f"rm -r {REPOSITORY}; mkdir {REPOSITORY}")
    assert "is the folder mounted" in fails()
    assert shell(host, f"ls -A {REPOSITORY}") == "", "no repository is made in its place"


@pytest.mark.catalogue
def test_a_full_destination(host: Any, repository: None, fails: Callable[..., str]) -> None:
    shell(
        host,
        f"cp -a {REPOSITORY} /root/copy; mount -t tmpfs -o size=$(($(du -sm /root/copy | cut -f1) + 3))m small {REPOSITORY};"
        f"cp -a /root/copy/. {REPOSITORY}; rm -r /root/copy; runuser -u app -- sh -c 'head -c 20M /dev/urandom >/var/lib/app/large'",
    )
    try:
        assert "it is full" in fails()
    finally:
        shell(host, "rm /var/lib/app/large")


@pytest.mark.catalogue
def test_a_full_disk_of_its_own(host: Any, fails: Callable[..., str]) -> None:
    shell(host, "mount -t tmpfs -o size=100m small /var/lib/slipway-backup")
    try:
        cause = fails()
        assert "the disk of /var/lib/slipway-backup has" in cause
        assert "MiB free" in cause
    finally:
        shell(host, "umount /var/lib/slipway-backup; systemctl start backup@nightly")


@pytest.mark.catalogue
def test_one_that_is_killed_leaves_nothing_that_the_next_one_minds(host: Any, state: Callable[[], Any]) -> None:
    shell(
        host,
        "runuser -u app -- sh -c 'head -c 300M /dev/urandom >/var/lib/app/large'; systemctl start --no-block backup@nightly",
    )
    try:
        for _ in range(600):
            if (
                host.run(f"ls {REPOSITORY}/locks/* && pgrep -x restic").rc == 0
                and state()["backup"]["state"] == "running"
            ):
                break
            time.sleep(0.05)
        time.sleep(0.5)
        shell(
            host,
            "systemctl kill --signal=KILL backup@nightly; while systemctl is-active -q backup@nightly; do sleep 0.1; done",
        )
        found = state()["backup"]
        assert (found["state"], found["last"]["state"]) == ("interrupted", "ok")
    finally:
        shell(host, "rm /var/lib/app/large")
    shell(host, "systemctl start backup@nightly restore-test")
    assert state()["restore_test"]["state"] == "ok"
    assert shell(host, f"ls {REPOSITORY}/locks") == ""


@pytest.mark.catalogue
def test_two_at_once_take_turns(host: Any, status: Any, state: Callable[[], Any]) -> None:
    units = f"backup@nightly backup@{status['live']} restore-test"
    shell(host, f"systemctl start {units}")
    assert {each["state"] for each in state().values()} == {"ok"}


@pytest.mark.catalogue
def test_rows_that_are_missing_after_a_restore_are_told(host: Any, fails: Callable[..., str]) -> None:
    # A trigger is restored after the rows; this check turns rows away while they are restored, without an error.
    shell(host, FILL)
    shell(host, "systemctl start backup@nightly")
    program = "/usr/local/lib/slipway/slipway/backup/postgresql.py"
    shell(
        host,
        f"cp -a {program} /root/program; sed -i 's/^        run(command, USER, source=file)/&\\n    query(\"DELETE FROM orders WHERE id = 7\", SCRATCH)/' {program}",
    )
    try:
        cause = fails("restore-test", "restore_test")
        assert "public.orders: 1000 backed up, 999 restored" in cause
    finally:
        shell(host, f"mv /root/program {program}; systemctl start restore-test")


@pytest.mark.catalogue
def test_an_sftp_server(host: Any, state: Callable[[], Any], fails: Callable[..., str]) -> None:
    folder = "/etc/slipway/backup"
    shell(
        host,
        f"cp -a {folder} /root/settings; cp -a /etc/systemd/system/backup@.service.d /root/drop-in;"
        "useradd --create-home --shell /bin/sh store; rm -r /etc/systemd/system/backup@.service.d; systemctl daemon-reload;"
        f"ssh-keygen -qt ed25519 -N '' -f /root/key; cp /root/key {folder}/ssh_key;"
        "install -Dm 644 /root/key.pub /etc/ssh/authorized_keys.d/store;"
        "install -o store -Dm 600 /root/key.pub /home/store/.ssh/authorized_keys;"
        'sed -i \'s|"/srv/backup"|"sftp:store@127.0.0.1:/home/store/b"|\' /etc/slipway/backup/settings.json',
    )
    try:
        assert "backup_known_hosts" in fails()
        shell(
            host,
            f"ssh-keyscan 127.0.0.1 >{folder}/known_hosts 2>/dev/null; {BACKUP} prepare; systemctl start backup@nightly",
        )
        assert state()["backup"]["state"] == "ok"
        assert shell(host, f"{BACKUP} restic snapshots --json | grep -c nightly") == "1"
        shell(host, "rm /etc/ssh/authorized_keys.d/store /home/store/.ssh/authorized_keys")
        assert "backup_ssh_key" in fails()
    finally:
        shell(
            host,
            f"rm -r {folder}; mv /root/settings {folder}; mv /root/drop-in /etc/systemd/system/backup@.service.d;"
            "systemctl daemon-reload; userdel --force --remove store; rm -f /root/key*; systemctl start backup@nightly",
        )


@pytest.mark.catalogue
def test_a_host_that_is_destroyed_comes_back_on_a_new_machine(host: Any, docker: str, tmp_path: Path) -> None:
    shell(host, f"{FILL} systemctl start backup@nightly")
    archived(host, order(host, "after the backup"))
    container = f"slipway-host-{CHECKOUT}-{NAME}"
    tool = [sys.executable, str(ROOT / "tools/host")]
    # The disk with the repository is all that is left.
    subprocess.run([docker, "cp", f"{container}:{REPOSITORY}", str(tmp_path / "disk")], check=True)
    subprocess.run([*tool, "down", NAME], check=True)
    subprocess.run([*tool, "up", NAME, "--groups", "app,data"], check=True)
    subprocess.run([docker, "cp", str(tmp_path / "disk"), f"{container}:{REPOSITORY}"], check=True)
    shutil.rmtree(tmp_path / "disk")
    new = testinfra.get_host(f"ssh://{NAME}", ssh_config=str(HOSTS / NAME / "ssh_config"), sudo=True)
    shell(
        new, f"chown -R root:root {REPOSITORY}; useradd --system somebody"
    )  # so that the app's user has another number

    done = run_playbook("site.yml", f"--extra-vars={json.dumps(VARIABLES)}")
    assert done.returncode == 0, done.stdout + done.stderr
    told = shell(new, f"{BACKUP} restore --replace --migrate")
    assert "PostgreSQL is as after its last archived transaction" in told
    # All of PostgreSQL, with the row that was written after the backup.
    assert shell(new, FOUND).splitlines() == ["1001" + CAME_BACK[0].removeprefix("1000"), *CAME_BACK[1:]]
    assert json.loads(new.check_output("slipway status --json"))["state"] == "healthy"
