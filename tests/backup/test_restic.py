"""restic's answers, as 0.14 (Debian 12) and 0.18 (Debian 13) give them, and what a person is told."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from slipway.backup import restic
from slipway.backup.restic import NoRepositoryError, Repository, RepositoryLockedError
from slipway.backup.settings import BackupError, Settings

Says = Callable[..., Repository]
OPENS = "Fatal: unable to open config file: Stat:"
RETRIES = "Stat(<config/>) returned error, retrying after 661.2ms: Stat:"
AT = datetime(2026, 11, 28, 2, tzinfo=UTC)
SUMMARY = json.dumps({"message_type": "summary", "snapshot_id": "1a2b3c4d5e6f", "total_bytes_processed": 5})


def settings(repository: str = "/srv/backup", folder: Path = Path("/nonexistent")) -> Settings:
    keep = {"daily": 7, "weekly": 4, "monthly": 6}
    return Settings(repository, "production/www1", True, (Path("/var/lib/app"),), keep, folder)


@pytest.fixture
def says(tmp_path: Path) -> Says:
    """A restic that says so, and writes down how it was called."""

    def make(
        error: str = "", status: int = 0, output: str = "", *, then: str = ":", patient: bool = False
    ) -> Repository:
        program = tmp_path / "restic"
        (tmp_path / "error").write_text(f"{error}\n" if error else "")
        (tmp_path / "output").write_text(output)
        program.write_text(
            f'#!/bin/sh\necho "$@" >>{tmp_path}/calls\nenv >{tmp_path}/environment\n'
            f"cat {tmp_path}/output\ncat {tmp_path}/error >&2\n{then}\nexit {status}\n"
        )
        program.chmod(0o755)
        return Repository(settings(), str(program), patient=patient)

    return make


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ("Fatal: wrong password or no key found", "backup_password does not open it"),
        ("Fatal: unable to save snapshot: write /srv/backup/data: no space left on device", "it is full"),
        ("subprocess ssh: Host key verification failed.\nFatal: unable to open repository", "backup_known_hosts"),
        ("subprocess ssh: u@h: Permission denied (publickey).\nFatal: unable to open", "backup_ssh_key"),
        (f"{OPENS} No user exists with the provided access key ID.", "backup_environment"),
        (f"{OPENS} The AWS Access Key Id you provided does not exist in our records.", "backup_environment"),
        (
            f"{OPENS} The request signature we calculated does not match the signature you provided.",
            "backup_environment",
        ),
        (f"{OPENS} Access Denied.", "may it write there"),
        ("Fatal: unable to open repository at s3:x: s3.getCredentials: no credentials found.", "AWS_ACCESS_KEY_ID"),
        (f"{OPENS} The specified bucket does not exist.", "backup_repository right"),
        (f'{OPENS} Get "https://h/b": x509: certificate signed by unknown authority', "update-ca-certificates"),
        (f'{OPENS} Get "https://h/b": dial tcp 127.0.0.1:9000: connect: connection refused', "is the server up"),
        (
            "Fatal: repository does not exist: unable to open config file: stat /srv/backup/config",
            "is the folder mounted",
        ),
        (
            "Fatal: unable to open config file: Stat: stat /srv/x: no such file\nIs there a repository at",
            "is the folder",
        ),
        ("unable to create lock in backend: repository is already locked by PID 5 on h by root", "wait for the other"),
        ("Fatal: dial tcp 192.0.2.1:443: connect: connection refused", "connection refused"),
    ],
)
def test_a_cause_says_what_to_do(says: Says, error: str, told: str) -> None:
    with pytest.raises(BackupError) as caught:
        says(error, 1).unlock()
    assert str(caught.value).startswith("/srv/backup: ")
    assert told in str(caught.value)
    assert error.splitlines()[-1] in str(caught.value), "restic's own words are there, too"


@pytest.mark.parametrize(
    ("cause", "told"),
    [
        ("Access Denied.", "backup_environment"),
        ("The specified bucket does not exist.", "is the folder mounted"),
        ("tls: failed to verify certificate: x509: certificate signed by unknown authority", "update-ca-certificates"),
    ],
)
@pytest.mark.parametrize("patient", [True, False])
def test_a_try_that_cannot_help_is_not_waited_for(says: Says, cause: str, told: str, patient: bool) -> None:
    # From 0.17 on restic tries everything for 15 minutes.
    began = time.monotonic()
    with pytest.raises(BackupError, match=told) as caught:
        says(f"{RETRIES} {cause}", then="exec sleep 60", patient=patient).unlock()
    assert time.monotonic() - began < 30, "it is milliseconds"
    assert str(caught.value).endswith(f"(restic: Stat: {cause})")


def test_a_bucket_that_is_not_there_is_made_with_the_repository(says: Says) -> None:
    assert not says(f"{RETRIES} The specified bucket does not exist.", then="exec sleep 60").exists()


def test_a_server_that_is_away_is_tried_for_longer_where_nobody_waits(
    says: Says, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restic, "REACH_SECONDS", 0.0)
    retry = f"{RETRIES} dial tcp 127.0.0.1:9000: connect: connection refused"
    with pytest.raises(BackupError, match=r"is the server up.*connection refused\)$"):
        says(retry, then="exec sleep 60").unlock()
    says(retry, patient=True).unlock()
    upload = retry.replace("Stat(<config/>)", "Save(<data/abc>)")
    says(upload).unlock()


def test_no_repository_is_told_from_one_that_does_not_open(says: Says) -> None:
    assert says(output="{}").exists()
    assert not says("Fatal: repository does not exist: unable to open config file: stat: no such file", 10).exists()
    with pytest.raises(BackupError, match="backup_password"):
        says("Fatal: wrong password or no key found", 12).exists()
    assert issubclass(NoRepositoryError, BackupError)


def unread(item: str, **error: object) -> str:
    return json.dumps({"message_type": "error", "error": error, "during": "archival", "item": item})


@pytest.mark.parametrize(
    "error", [{"Op": "lstat", "Path": "/x", "Err": 2}, {"message": "lstat /x: no such file or directory"}]
)
def test_a_file_that_the_app_removed_meanwhile_is_no_failure(says: Says, error: dict[str, object]) -> None:
    text = unread("/var/lib/app/x", **error) + "\nWarning: at least one source file could not be read"
    assert says(text, 3, SUMMARY).backup([], [], "nightly")["snapshot_id"] == "1a2b3c4d5e6f"


@pytest.mark.parametrize("error", [{"Op": "open", "Path": "/x", "Err": 5}, {"message": "open /x: Input/output error"}])
def test_a_snapshot_that_lacks_a_file_does_not_stay(says: Says, tmp_path: Path, error: dict[str, object]) -> None:
    with pytest.raises(BackupError, match=r"not all files could be read: /var/lib/app/x: .*Input/output error"):
        says(unread("/var/lib/app/x", **error), 3, SUMMARY).backup([], [], "nightly")
    assert "forget 1a2b3c4d5e6f" in (tmp_path / "calls").read_text()


def test_a_repository_that_stays_locked_is_tried_again(
    says: Says, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restic, "LOCK_WAIT_SECONDS", 0.0)
    with pytest.raises(RepositoryLockedError):
        says("unable to create lock in backend: repository is already locked", 11).forget()
    assert (tmp_path / "calls").read_text().count("forget") == restic.LOCK_TRIES


def test_only_its_own_snapshots_are_forgotten(says: Says, tmp_path: Path) -> None:
    says().forget()
    words = (tmp_path / "calls").read_text().split()
    assert {"--host=production/www1", "--tag=slipway", "--group-by=host", "--keep-daily=7", "--prune"} <= set(words)


def test_a_path_is_excluded_as_it_stands(says: Says, tmp_path: Path) -> None:
    says(output=SUMMARY).backup([Path("/a")], [Path("/a/b[1]*.db")], "nightly")
    assert r"--exclude=/a/b\[1]\*.db" in (tmp_path / "calls").read_text()


def test_no_secret_is_on_the_command_line(says: Says, tmp_path: Path) -> None:
    says().unlock()
    assert (tmp_path / "calls").read_text().split() == ["unlock"]
    assert "RESTIC_PASSWORD_FILE=/nonexistent/password" in (tmp_path / "environment").read_text()


@pytest.mark.parametrize(
    ("repository", "end"),
    [
        ("sftp:u@backup.example.com:/srv/b", "u@backup.example.com -s sftp"),
        ("sftp://u@backup.example.com:2222//srv/b", "-p2222 u@backup.example.com -s sftp"),
        ("sftp:backup:b", "backup -s sftp"),
    ],
)
def test_an_sftp_server_is_reached_with_the_hosts_key_and_no_other(repository: str, end: str) -> None:
    command = settings(repository, Path("/etc/slipway/backup")).sftp_command()
    assert command
    assert command.endswith(end)
    assert "-oStrictHostKeyChecking=yes" in command
    assert "-oUserKnownHostsFile=/etc/slipway/backup/known_hosts" in command


def test_why_ssh_gives_no_session_is_asked_of_ssh(says: Says, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ssh = tmp_path / "ssh"
    ssh.write_text("#!/bin/sh\necho 'Host key verification failed.' >&2\nexit 255\n")
    ssh.chmod(0o755)
    monkeypatch.setattr(Settings, "sftp_command", lambda _self: str(ssh))
    with pytest.raises(BackupError, match=r"backup_known_hosts.*Host key verification failed"):
        says("Fatal: unable to start the sftp session, error: file already closed", 1).unlock()


@pytest.mark.parametrize("repository", ["sftp:-oProxyCommand=x:/b", "sftp::/b"])
def test_an_sftp_server_without_a_name_is_refused(repository: str) -> None:
    with pytest.raises(BackupError, match="without a host"):
        settings(repository).sftp_command()


def test_snapshots_come_oldest_first_and_are_chosen_by_the_beginning_of_their_id(says: Says) -> None:
    listed = [
        {"id": "bb22", "time": "2026-11-28T02:00:00.123456789Z", "tags": ["slipway", "machine-abc", "nightly"]},
        {"id": "aa11", "time": "2026-11-27T03:00:00.1+01:00", "tags": ["slipway", "20261127T000000-abcdef0"]},
    ]
    repository = says(output=json.dumps(listed))
    assert [each.kind for each in repository.snapshots()] == ["20261127T000000-abcdef0", "nightly"]
    assert (repository.latest().id, repository.latest().machine) == ("bb22", "abc")
    assert repository.latest("aa").at.isoformat() == "2026-11-27T02:00:00+00:00"
    with pytest.raises(BackupError, match="no snapshot cc; there are aa11, bb22"):
        repository.latest("cc")
    with pytest.raises(BackupError, match=r"no snapshot of production/www1"):
        says(output="null").latest()
