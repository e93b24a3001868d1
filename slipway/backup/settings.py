"""What provisioning wrote about backups, and where everything is."""

import json
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from slipway.model.errors import SlipwayError

FOLDER = Path("/etc/slipway/backup")
"""Readable by root alone: it has the password."""
STATE = Path("/var/lib/slipway-backup")
DATABASE = "app"


class BackupError(SlipwayError):
    """A backup, its test or a restore failed; the message is the cause and what to do."""


@dataclass(frozen=True)
class Settings:
    """The backups of a host."""

    repository: str
    """As restic has it: a folder, sftp:... or s3:..."""
    host: str
    """Whose snapshots these are: the same name on a new machine."""
    postgresql: bool
    """Whether PostgreSQL is on this host."""
    folders: tuple[Path, ...]
    """Folders with the app's files."""
    keep: dict[str, int]
    """How many snapshots to keep, by `daily`, `weekly` and `monthly`."""
    configuration: Path = field(default=FOLDER)
    schedules: dict[str, str] = field(default_factory=dict)
    """When backups are made and tested, as `OnCalendar=` has it, by the name of the record."""
    wal: bool = False
    """Whether PostgreSQL archives its WAL."""

    @classmethod
    def load(cls, folder: Path = FOLDER) -> Self:
        """Read the settings.

        Raises:
            BackupError: there are none, or they are damaged.
        """
        path = folder / "settings.json"
        try:
            values: dict[str, Any] = json.loads(path.read_text())
            return cls(
                repository=values["repository"],
                host=values["host"],
                postgresql=values["postgresql"],
                folders=tuple(map(Path, values["folders"])),
                keep={name: int(values["keep"][name]) for name in ("daily", "weekly", "monthly")},
                configuration=folder,
                schedules=dict(values["schedules"]),
                wal=values["wal"],
            )
        except FileNotFoundError:
            raise BackupError(
                "this host has no backups: set backup_repository and backup_password, then slipway provision"
            ) from None
        except (ValueError, KeyError, TypeError) as error:
            raise BackupError(f"{path} is damaged ({error}). Type: slipway provision <environment>") from None

    @property
    def password_file(self) -> Path:
        """The password of the repository."""
        return self.configuration / "password"

    def credentials(self) -> dict[str, str]:
        """The environment variables that open the repository's server."""
        try:
            values: dict[str, str] = json.loads((self.configuration / "environment.json").read_text())
        except FileNotFoundError:
            return {}
        return values

    def sftp_command(self) -> str | None:
        """The command by which restic reaches an SFTP server, with this host's key and known hosts; None for others.

        Raises:
            BackupError: the repository names no host.
        """
        if not self.repository.startswith("sftp:"):
            return None
        if self.repository.startswith("sftp://"):
            parts = urlsplit(self.repository)
            host = f"{parts.username}@{parts.hostname}" if parts.username else parts.hostname or ""
            port = parts.port
        else:
            host, port = self.repository.removeprefix("sftp:").partition(":")[0], None
        if not host or host.startswith("-"):
            raise BackupError(f"backup_repository is {self.repository}, without a host. As: sftp:user@host:/folder")
        options = {
            "BatchMode": "yes",
            "ConnectTimeout": "30",
            "IdentitiesOnly": "yes",
            "IdentityFile": str(self.configuration / "ssh_key"),
            "ServerAliveInterval": "30",
            "StrictHostKeyChecking": "yes",
            "UserKnownHostsFile": str(self.configuration / "known_hosts"),
        }
        words = ["ssh", *(f"-o{name}={value}" for name, value in options.items()), *([f"-p{port}"] if port else [])]
        return shlex.join([*words, host, "-s", "sftp"])
