"""Restored files go where they were, and nowhere else."""

import time
from contextlib import nullcontext
from pathlib import Path

import pytest

from slipway.backup import restore
from slipway.backup.settings import BackupError, Settings
from slipway.backup.staging import COPIES, STAGING, Manifest, below
from tests.engine.power import Ext4, mounted_ext4

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


@pytest.mark.parametrize("seconds", [0, 6])
def test_restored_files_outlive_a_power_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: int) -> None:
    """ext4 commits names each five seconds, and the contents of new files up to thirty later."""
    root = tmp_path / "disk"
    with mounted_ext4(root) as image:
        folder, scratch = root / "app", root / "scratch"
        folder.mkdir()
        (folder / "old").write_text("before")
        below(scratch, folder).mkdir(parents=True)
        (below(scratch, folder) / "new").write_text("restored")
        monkeypatch.setattr(restore, "STATE", root / "state")
        monkeypatch.setattr(restore, "_app_stopped", lambda _settings: nullcontext())
        settings = Settings(str(root / "repository"), "production/www1", False, (folder,), {})
        (aside,) = restore._exchange(settings, Manifest("", None), scratch, migrate=False)
        time.sleep(seconds)
        tree = Ext4(root, image=image).cut(lambda: False)
    assert tree["app"] == {"new": b"restored"}
    assert str(Path(aside)).startswith(str(root / "state"))
    assert "before" in str(tree["state"])
