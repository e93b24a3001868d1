"""The files of a log: rotated, compressed, damaged, and rotated while they are read."""

import gzip
import os
from pathlib import Path

import pytest

from slipway.report.log import Log


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "access.log"
    files = {".3.gz": gzip.compress(b"a\n"), ".2.gz": gzip.compress(b"b\nc\n"), ".1": b"d\n", "": b"e\n"}
    for age, (suffix, content) in enumerate(reversed(files.items())):
        file = path.with_name(f"access.log{suffix}")
        file.write_bytes(content)
        os.utime(file, (1000 - 100 * age,) * 2)
    (tmp_path / "access.log.d").mkdir()
    (tmp_path / "error.log").write_bytes(b"no\n")
    return path


def test_rotated_files_are_read_from_the_oldest_on(path: Path) -> None:
    assert b"".join(Log(path).lines(0)) == b"a\nb\nc\nd\ne\n"


def test_files_that_ended_before_are_left_out(path: Path) -> None:
    assert b"".join(Log(path).lines(850)) == b"d\ne\n"


def test_a_file_that_is_rotated_meanwhile_is_read_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    glob = Path.glob

    def rotate(folder: Path, pattern: str) -> list[Path]:
        path.rename(path.with_name("access.log.0"))
        path.write_bytes(b"f\n")
        os.link(path, path.with_name("access.log-copy"))
        return list(glob(folder, pattern))

    monkeypatch.setattr(Path, "glob", rotate)
    assert b"".join(Log(path).lines(850)) == b"d\ne\nf\n"


# gzip's header has the time: without names and a time, each of pytest's workers would have another test.
@pytest.mark.parametrize(
    "damage", [b"no gzip", gzip.compress(b"b\n" * 9999, mtime=0)[:30], b""], ids=["none", "cut", "empty"]
)
def test_a_damaged_file_is_named_and_the_others_are_read(path: Path, damage: bytes) -> None:
    damaged = path.with_name("access.log.2.gz")
    damaged.write_bytes(damage)
    os.utime(damaged, (800, 800))
    log = Log(path)
    lines = b"".join(log.lines(0))
    assert (lines[:2], lines[-4:]) == (b"a\n", b"d\ne\n")
    assert log.unread == ([damaged.name] if damage else [])


def test_an_endless_line_is_cut(path: Path) -> None:
    path.write_bytes(b"x" * 1_000_000)
    assert max(map(len, Log(path).lines(950))) == 64 * 1024


def test_a_host_without_log_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(Log(tmp_path / "access.log").lines(0))
