"""Backups in a real S3 server, and its faults, each with its cause in the status."""

import time
from pathlib import Path

import pytest

from tests.s3.conftest import BUCKET, FILES, BackedUp, Store

ENDED = "! systemctl list-jobs --plain --no-legend | grep -q backup@nightly"
LARGE = "runuser -u app -- sh -c 'head -c 200M /dev/urandom >/var/lib/app/large'"


def test_the_bucket_is_made_and_backups_go_there_and_come_back(host: BackedUp, store: Store) -> None:
    assert store.shell("ls /srv/s3") == BUCKET
    host.backup()
    host.shell(
        f"rm {FILES}/first.txt; /usr/local/lib/slipway/backup restic restore latest --target=/ --include={FILES}"
    )
    assert host.shell(f"cat {FILES}/first.txt") == "kept"


@pytest.mark.parametrize(
    ("file", "before", "after", "told"),
    [
        (
            "environment.json",
            '"shop"',
            '"other"',
            "it refuses this host: is backup_ssh_key (SFTP) or backup_environment",
        ),
        (
            "environment.json",
            '"tests-only"',
            '"other"',
            "it refuses this host: is backup_ssh_key (SFTP) or backup_environment",
        ),
        ("settings.json", f"/{BUCKET}", "/other", "there is no repository: is the folder mounted"),
        ("password", "tests-only", "other-value", "backup_password does not open it"),
    ],
    ids=["key id", "secret", "bucket", "password"],
)
def test_a_fault_of_the_settings(host: BackedUp, store: Store, file: str, before: str, after: str, told: str) -> None:
    path = f"/etc/slipway/backup/{file}"
    host.shell(f"cp -a {path} /root/kept; grep -q '{before}' {path}; sed -i 's|{before}|{after}|' {path}")
    try:
        assert told in host.backup_fails()
    finally:
        host.shell(f"mv /root/kept {path}")
    assert store.shell("ls /srv/s3") == BUCKET, "no other one is made in its place"
    host.backup()


def test_a_certificate_that_is_not_trusted(host: BackedUp, folder: Path) -> None:
    host.shell("rm /usr/local/share/ca-certificates/backup.crt; update-ca-certificates --fresh")
    try:
        assert "this host does not trust its TLS certificate" in host.backup_fails()
    finally:
        host.trust(folder)


def test_a_server_that_is_away(host: BackedUp, store: Store) -> None:
    store.kill()
    try:
        began = time.monotonic()
        assert "it cannot be reached: is the server up" in host.backup_fails()
        # Half a minute and the pause before the next try; without Slipway's limit restic takes 15 minutes.
        assert time.monotonic() - began < 300
    finally:
        store.start()
    host.backup()


def test_a_server_that_is_killed_in_the_midst_and_comes_back(host: BackedUp, store: Store) -> None:
    host.shell(f"{LARGE}; systemctl start --no-block backup@nightly")
    used = int(store.shell("du -sm /srv/s3 | cut -f1"))
    store.wait_until(f"[ $(du -sm /srv/s3 | cut -f1) -gt {used + 20} ]")
    store.kill()
    assert host.shell("pgrep -x restic")
    store.start()
    host.wait_until(ENDED, 120)
    found = host.found()["backup"]
    assert (found["state"], found["kind"]) == ("ok", "nightly")
    host.shell("rm /var/lib/app/large; systemctl start restore-test")
    assert host.found()["restore_test"]["state"] == "ok"


def test_both_are_killed_in_the_midst(host: BackedUp, store: Store) -> None:
    host.shell(f"{LARGE}; systemctl start --no-block backup@nightly")
    used = int(store.shell("du -sm /srv/s3 | cut -f1"))
    store.wait_until(f"[ $(du -sm /srv/s3 | cut -f1) -gt {used + 20} ]")
    store.kill()
    host.shell("systemctl kill --signal=KILL backup@nightly; rm /var/lib/app/large")
    host.wait_until(ENDED)
    store.start()
    assert host.found()["backup"]["state"] == "interrupted"
    assert store.shell(f"ls /srv/s3/{BUCKET}/locks"), "it left its lock"
    host.backup()
    host.shell("systemctl start restore-test")
    assert host.found()["restore_test"]["state"] == "ok"
    assert store.shell(f"ls /srv/s3/{BUCKET}/locks || true") == ""


def test_a_lock_of_another_host(host: BackedUp, store: Store) -> None:
    locks = f"/srv/s3/{BUCKET}/locks"
    check = "/usr/local/lib/slipway/backup restic check --read-data --limit-download=64"
    host.shell(f"unshare --uts sh -euc 'hostname other; setsid {check} >/dev/null 2>&1 &'")
    try:
        store.wait_until(f'[ -n "$(ls {locks})" ]')
        host.shell("pkill -STOP -x restic")
        assert "it is locked: wait for the other backup" in host.backup_fails()
    finally:
        host.shell("pkill -KILL -x restic; /usr/local/lib/slipway/backup restic unlock --remove-all")
    host.backup()
