"""Restored files go where they were, and nowhere else."""

from pathlib import Path

import pytest

from slipway.backup import restore
from slipway.backup.settings import BackupError
from slipway.backup.staging import COPIES, STAGING, Manifest, below

FOLDER = Path("/var/lib/app")


def snapshot(scratch: Path) -> tuple[Path, Manifest]:
    """A restored snapshot with the copy of a database; returns the app's folder in it."""
    restored, copies = below(scratch, FOLDER), below(below(scratch, STAGING) / COPIES, FOLDER)
    (copies / "data").mkdir(parents=True)
    (copies / "data/x.db").write_text("copy")
    restored.mkdir(parents=True)
    return restored, Manifest("", None, sqlite={str(FOLDER): {"data/x.db": {}}})


def test_the_copy_of_a_database_takes_its_place(tmp_path: Path) -> None:
    restored, manifest = snapshot(tmp_path)
    (restored / "data").mkdir()
    restore._prepare(FOLDER, manifest, tmp_path)
    assert (restored / "data/x.db").read_text() == "copy"


@pytest.mark.parametrize("link", [True, False])
def test_a_folder_that_became_a_link_leads_root_nowhere(tmp_path: Path, link: bool) -> None:
    restored, manifest = snapshot(tmp_path / "scratch")
    (tmp_path / "cron.d").mkdir()
    if link:
        (restored / "data").symlink_to(tmp_path / "cron.d")
    with pytest.raises(BackupError, match=r"no folder for /var/lib/app/data/x\.db"):
        restore._prepare(FOLDER, manifest, tmp_path / "scratch")
    assert list((tmp_path / "cron.d").iterdir()) == []
