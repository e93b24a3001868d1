"""What is committed is text, and a few pictures of the documentation: nothing that a trial has left."""

import subprocess
from pathlib import Path

import pytest

from tools.checkout import ROOT

PICTURES = {".png"}


def strays(folder: Path) -> list[str]:
    """Return the files in git's view that are neither text nor pictures."""
    listed = ["git", "-C", str(folder), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    files = [name for name in subprocess.check_output(listed, text=True).split("\0") if (folder / name).is_file()]
    # As git and grep tell.
    return [name for name in files if b"\0" in (folder / name).read_bytes() and Path(name).suffix not in PICTURES]


def test_the_tree_has_no_generated_file() -> None:
    assert strays(ROOT) == []


@pytest.mark.parametrize(
    ("name", "content"), [("restic.deb", b"!<arch>\n\0"), ("a.pyc", b"\0"), ("data.sqlite3", b"SQLite format 3\0")]
)
def test_a_generated_file_is_found(tmp_path: Path, name: str, content: bytes) -> None:
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    (tmp_path / "main.py").write_text("")
    (tmp_path / name).write_bytes(content)
    assert strays(tmp_path) == [name]
