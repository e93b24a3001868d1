"""What a dump does when a program of PostgreSQL fails."""

import subprocess
from pathlib import Path

import pytest

from slipway.backup import postgresql, process
from slipway.backup.settings import BackupError

PSQL = "#!/bin/sh\nread -r line; echo 00000003-0000001B-1; cat >/dev/null\n"


def test_the_cause_is_that_of_pg_dump(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The unit of backups lacks the capability to kill the psql of another user, which ends by itself."""

    def forbidden(_process: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    for name, text in {"psql": PSQL, "pg_dump": "#!/bin/sh\necho relation was dropped >&2\nexit 1\n"}.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setattr(process, "PATH", f"{tmp_path}:{process.PATH}")
    monkeypatch.setattr(postgresql, "USER", None)
    monkeypatch.setattr(subprocess.Popen, "kill", forbidden)
    with pytest.raises(BackupError, match="pg_dump failed: relation was dropped"):
        postgresql.dump(tmp_path / "dump")
