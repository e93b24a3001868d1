"""The repository, by restic (0.14 on Debian 12, 0.18 on Debian 13)."""

import errno
import hashlib
import json
import os
import re
import shlex
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from slipway.backup.process import options, tail
from slipway.backup.settings import BackupError, Settings

TAG = "slipway"
MACHINE = "machine-"
MACHINE_ID = Path("/etc/machine-id")
CACHE = Path("/var/cache/slipway-backup")
INCOMPLETE = 3
"""restic's exit status where it could not read a file, and made a snapshot of the others."""
LOCK_TRIES = 5
LOCK_WAIT_SECONDS = 60.0

REACH_SECONDS = 30.0
"""So long it is tried to reach the repository where somebody waits. restic itself tries for 15 minutes."""

_RETRIES = re.compile(r"(?P<what>\w+\(.*\)) returned error, retrying after \S+: (?P<cause>.*)")
_OPENS = "Stat(<config/>)"
"""What restic does first."""
_LOCKED = re.compile(r"unable to create lock|already locked", re.IGNORECASE)
_ABSENT = re.compile(
    r"Is there a repository at|repository does not exist|unable to open config file|bucket does not exist",
    re.IGNORECASE,
)
# S3's words: restic shows the message of an answer, and not its code.
_REFUSED = re.compile(
    r"Permission denied \(|Access ?Denied|403 Forbidden|access ?key ?id|request signature we calculated"
    r"|SignatureDoesNotMatch|no credentials found",
    re.IGNORECASE,
)
_UNTRUSTED = re.compile(r"x509: ", re.IGNORECASE)
_AWAY = re.compile(r"connection refused|no such host|timeout|unreachable|no route to host", re.IGNORECASE)
_FULL = re.compile(r"no space left|disk quota|quota exceeded", re.IGNORECASE)
_NO_SESSION = "unable to start the sftp session"
_FINAL = (_REFUSED, _UNTRUSTED, _FULL, _ABSENT)
"""Another try does not help."""
_CAUSES = (
    (
        re.compile(r"wrong password or no key found", re.IGNORECASE),
        (
            "backup_password does not open it: put the password that it was made with into secrets.yml, then slipway "
            "provision"
        ),
    ),
    (_FULL, "it is full: make room there"),
    (
        re.compile(r"Host key verification failed|host key is known", re.IGNORECASE),
        "its SSH host key is not the one in backup_known_hosts: `ssh-keyscan HOST` shows it; compare, then set it",
    ),
    (
        _REFUSED,
        (
            "it refuses this host: is backup_ssh_key (SFTP) or backup_environment (S3: AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY) right, and may it write there?"
        ),
    ),
    (
        _UNTRUSTED,
        (
            "this host does not trust its TLS certificate: put its CA into /usr/local/share/ca-certificates, then type "
            "update-ca-certificates"
        ),
    ),
    (_AWAY, "it cannot be reached: is the server up, and backup_repository right?"),
    (
        _ABSENT,
        (
            "there is no repository: is the folder mounted, the server up, and backup_repository right? Only slipway "
            "provision makes a new one, with its bucket"
        ),
    ),
    (_LOCKED, "it is locked: wait for the other backup. If none runs anywhere, the lock goes away within 30 minutes"),
)


def machine() -> str:
    """Return what tells this machine from another one of the same name."""
    # Not the id itself, which is not for others: machine-id(5).
    return hashlib.sha256(b"slipway" + MACHINE_ID.read_bytes()).hexdigest()[:12]


class NoRepositoryError(BackupError):
    """The place can be reached, and has no repository."""


class RepositoryLockedError(BackupError):
    """Another restic has the repository locked."""


@dataclass(frozen=True)
class Snapshot:
    """A backup in the repository."""

    id: str
    at: datetime
    kind: str
    """What it was made for: `nightly`, `manual` or the release whose migrations followed."""
    machine: str = ""
    """Which machine it is of; a host that is set up again is another one."""

    @property
    def short(self) -> str:
        """The beginning of its id, which restic takes for the id."""
        return self.id[:8]

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Read one of restic's list."""
        # Nanoseconds, which Python does not read.
        at = datetime.fromisoformat(re.sub(r"\.\d+", "", values["time"])).astimezone(UTC)
        tags = [tag for tag in values.get("tags") or [] if not tag.startswith(TAG)]
        machines = [tag.removeprefix(MACHINE) for tag in tags if tag.startswith(MACHINE)]
        kind = next((tag for tag in tags if not tag.startswith(MACHINE)), "")
        return cls(values["id"], at, kind, *machines[:1])


class Repository:
    """A host's part of the repository."""

    def __init__(self, settings: Settings, program: str = "restic", *, patient: bool = False) -> None:
        """Use the repository of these settings; nothing is reached yet.

        Args:
            settings: where it is, and what opens it.
            program: restic.
            patient: nobody waits, so a server that is away is tried for 15 minutes.
        """
        self.settings = settings
        self.program = program
        self.patient = patient

    def exists(self) -> bool:
        """Whether there is a repository.

        Raises:
            BackupError: the place cannot be reached, or the password is wrong.
        """
        try:
            self.run("cat", "config")
        except NoRepositoryError:
            return False
        return True

    def create(self) -> None:
        """Create the repository."""
        self.run("init")

    def unlock(self) -> None:
        """Remove locks whose holder died: on this host at once, of others after 30 minutes."""
        self.run("unlock")

    def backup(self, paths: Sequence[Path], excluded: Sequence[Path], kind: str, tag: str = TAG) -> dict[str, Any]:
        """Make a snapshot, told from others by its tag. Returns restic's summary.

        Raises:
            BackupError: it failed, or a file could not be read; no snapshot stays then.
        """
        excludes = [f"--exclude={_literal(path)}" for path in excluded]
        words = ["backup", "--json", "--quiet", f"--host={self.settings.host}", f"--tag={tag}", f"--tag={kind}"]
        words.append(f"--tag={MACHINE}{machine()}")
        done = self._call(*words, *excludes, *map(str, paths))
        if done.returncode not in {0, INCOMPLETE}:
            raise self._error(done)
        summary = _summary(done.stdout)
        if done.returncode == INCOMPLETE and (unread := _unread(done.stderr)):
            if summary.get("snapshot_id"):
                with suppress(BackupError):  # what could not be read matters more
                    self.run("forget", summary["snapshot_id"])
            raise BackupError(f"not all files could be read: {'; '.join(unread[:3])}")
        return summary

    def snapshots(self, tag: str = TAG) -> list[Snapshot]:
        """The host's snapshots with a tag, oldest first."""
        found = self.run("snapshots", "--json", f"--host={self.settings.host}", f"--tag={tag}")
        return sorted(map(Snapshot.from_json, json.loads(found) or []), key=lambda each: each.at)

    def latest(self, name: str = "") -> Snapshot:
        """The newest snapshot, or the one whose id begins so.

        Raises:
            BackupError: there is none.
        """
        found = self.snapshots()
        if not found:
            raise BackupError(
                f"{self.settings.repository} has no snapshot of {self.settings.host}. Its name is that of the "
                "environment and of the host in hosts.yml; `restic snapshots` lists all"
            )
        chosen = [each for each in found if each.id.startswith(name)]
        if not chosen:
            raise BackupError(f"no snapshot {name}; there are {', '.join(each.short for each in found)}")
        return chosen[-1]

    def until(self, at: datetime) -> Snapshot:
        """The newest snapshot that is not newer than a moment.

        Raises:
            BackupError: there is none.
        """
        self.latest()
        found = self.snapshots()
        chosen = [each for each in found if each.at <= at]
        if not chosen:
            raise BackupError(f"no snapshot is older than {at.isoformat()}: the first is of {found[0].at.isoformat()}")
        return chosen[-1]

    def forget(self) -> None:
        """Remove snapshots beyond those to keep, and their data. All of two days stay: those before migrations, too.

        Raises:
            BackupError: it failed, or the repository stayed locked by another host.
        """
        keep = [f"--keep-{name}={number}" for name, number in self.settings.keep.items()]
        words = [f"--host={self.settings.host}", f"--tag={TAG}", "--group-by=host", "--keep-within=2d"]
        self._forget(*words, *keep, "--prune", "--quiet")

    def remove(self, ids: Sequence[str]) -> None:
        """Remove snapshots; `forget` removes their data.

        Raises:
            BackupError: it failed, or the repository stayed locked by another host.
        """
        if ids:
            self._forget(*ids)

    def _forget(self, *words: str) -> None:
        for tries_left in reversed(range(LOCK_TRIES)):
            try:
                self.run("forget", *words)
            except RepositoryLockedError:
                if not tries_left:
                    raise
                time.sleep(LOCK_WAIT_SECONDS)
            else:
                return

    def check(self) -> None:
        """Verify the repository's structure, and a twentieth of its data.

        Raises:
            BackupError: something is damaged.
        """
        self.run("check", "--quiet", "--read-data-subset=5%")

    def restore(self, snapshot: Snapshot, target: Path, *paths: Path) -> None:
        """Write a snapshot's files below a folder: all, or those below some paths."""
        self.run("restore", snapshot.id, f"--target={target}", *(f"--include={path}" for path in paths))

    def size(self, snapshot: Snapshot) -> int:
        """The bytes that a snapshot has when it is restored."""
        stats: dict[str, Any] = json.loads(self.run("stats", "--json", "--mode=restore-size", snapshot.id))
        return int(stats["total_size"])

    def run(self, *words: str) -> str:
        """Run restic and return its output.

        Raises:
            BackupError: it failed; the message is the cause.
        """
        done = self._call(*words)
        if done.returncode:
            raise self._error(done)
        return done.stdout.decode(errors="replace")

    def command(self, *words: str) -> tuple[list[str], dict[str, Any]]:
        """Return a command of restic, and Popen's options for it: the whole environment that it needs."""
        settings = self.settings
        environment = settings.credentials() | {
            "RESTIC_REPOSITORY": settings.repository,
            "RESTIC_PASSWORD_FILE": str(settings.password_file),
            "RESTIC_CACHE_DIR": str(CACHE),
        }
        sftp = settings.sftp_command()
        return [self.program, *(["-o", f"sftp.command={sftp}"] if sftp else []), *words], options(None, environment)

    def _call(self, *words: str) -> subprocess.CompletedProcess[bytes]:
        command, environment = self.command(*words)
        errors: list[bytes] = []
        pipe, none = subprocess.PIPE, subprocess.DEVNULL
        with subprocess.Popen(command, stdin=none, stdout=pipe, stderr=pipe, **environment) as process:
            reader = threading.Thread(target=self._follow, args=(process, errors))
            reader.start()
            assert process.stdout
            output = process.stdout.read()
            reader.join()
        return subprocess.CompletedProcess(command, process.returncode, output, b"".join(errors))

    def _follow(self, process: subprocess.Popen[bytes], errors: list[bytes]) -> None:
        """Collect restic's error output, and end it where another try does not help, as with a wrong key.

        From 0.17 on it tries everything for 15 minutes. The cause of the last try is all that is collected then.
        """
        assert process.stderr
        began = time.monotonic()
        for line in process.stderr:
            errors.append(line)
            if not (retry := _RETRIES.search(line.decode(errors="replace"))):
                continue
            final = any(pattern.search(retry["cause"]) for pattern in _FINAL)
            too_long = retry["what"] == _OPENS and time.monotonic() - began > REACH_SECONDS and not self.patient
            if final or too_long:
                process.terminate()
                process.stderr.read()
                errors[:] = [retry["cause"].encode()]
                return

    def _error(self, done: subprocess.CompletedProcess[bytes]) -> BackupError:
        output = done.stderr.decode(errors="replace")
        if _NO_SESSION in output:
            output += self._ssh_error()
        kind = BackupError
        cause = f"restic: {tail(output.encode()) or f'status {done.returncode}'}"
        for pattern, words in _CAUSES:
            if pattern.search(output):
                kind = {_LOCKED: RepositoryLockedError, _ABSENT: NoRepositoryError}.get(pattern, BackupError)
                cause = f"{words} ({cause})"
                break
        return kind(f"{self.settings.repository}: {cause}")

    def _ssh_error(self) -> str:
        """What ssh prints where it gives no session: restic often ends before it has passed that on."""
        words = shlex.split(self.settings.sftp_command() or "true")
        try:
            done: subprocess.CompletedProcess[bytes] = subprocess.run(
                words, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=60, **options(None)
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"\n{error}"
        return "\n" + done.stderr.decode(errors="replace")


def _literal(path: Path) -> str:
    """A pattern that matches this path alone."""
    return re.sub(r"([\\*?[])", r"\\\1", str(path))


def _summary(output: bytes) -> dict[str, Any]:
    """Restic's own summary: the last line of its JSON."""
    for line in reversed(output.splitlines()):
        try:
            values = json.loads(line)
        except ValueError:
            continue
        if isinstance(values, dict) and values.get("message_type") == "summary":
            return values
    raise BackupError("restic made no snapshot and gave no reason: journalctl -u 'backup@*' has its output")


def _unread(output: bytes) -> list[str]:
    """Files that restic could not read, each with why, without those that the app removed meanwhile."""
    found = []
    for line in output.decode(errors="replace").splitlines():
        try:
            values = json.loads(line)
            error, item = values["error"], values["item"]
        except (ValueError, KeyError, TypeError):
            continue
        # restic 0.14 has the error's number, newer ones its words.
        number = error.get("Err")
        why = os.strerror(number) if isinstance(number, int) else error.get("message", str(error))
        if os.strerror(errno.ENOENT).lower() not in why.lower():
            found.append(f"{item}: {why}")
    return found
