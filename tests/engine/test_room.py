"""A full disk: what a rollback gives up for its room, and what is told."""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from slipway.engine import audit, cli, deploy, durable, releases, room
from slipway.engine.crashes import Crashes
from slipway.engine.status import status, text
from slipway.model.record import Record
from tests.engine.fakes import FakeHost
from tests.engine.names import A, B, C, D

MEBIBYTE = 2**20
Disk = Callable[..., None]


@pytest.fixture
def live(host: FakeHost) -> FakeHost:
    """C is live, after A and B; D failed."""
    for release in (A, B, C):
        deploy.activate(host, host.ship(release))
    host.ship(D, state="failed", shipped_at="2020-01-01T00:00:00+00:00")
    return host


@pytest.fixture
def disk(live: FakeHost, monkeypatch: pytest.MonkeyPatch) -> Disk:
    """A disk with no room for a record, but for what is freed: the reserve, and each release of some."""

    def fill(frees: tuple[str, ...] = (), fails: int = errno.ENOSPC, inodes: bool = False) -> None:
        write, found = durable.write_atomically, live.releases

        def free() -> bool:
            return not found.reserve.exists() and not any(found.path(each).exists() for each in frees)

        def write_if_free(path: Path, content: str) -> None:
            if not free():
                raise OSError(fails, os.strerror(fails))
            write(path, content)

        monkeypatch.setattr(releases, "write_atomically", write_if_free)
        monkeypatch.setattr(
            shutil, "disk_usage", lambda _path: SimpleNamespace(free=10**10 if free() or inodes else 4096)
        )
        monkeypatch.setattr(
            os, "statvfs", lambda _path: SimpleNamespace(f_favail=10**6 if free() or not inodes else 0, f_files=10**6)
        )

    return fill


def rollback(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> int:
    """Type `slipway rollback`; systemd runs the engine."""

    def start(*units: str, **options: Any) -> None:
        for unit in units:
            if unit.startswith("deploy@"):
                deploy.activate(host, unit.removeprefix("deploy@").removesuffix(".service"))
            else:
                fake_start(unit, **options)

    fake_start = host.systemd.start
    monkeypatch.setattr(host.systemd, "start", start)
    monkeypatch.setattr(cli, "Host", lambda _site: host)
    monkeypatch.setattr("slipway.model.site.Site.load", lambda: host.site)
    return cli.main(["rollback"])


def test_each_activation_keeps_room(live: FakeHost) -> None:
    assert live.releases.reserve.stat().st_size == room.KEPT_BYTES


def test_no_room_is_kept_where_there_is_none(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=room.RESERVE_BYTES))
    deploy.activate(host, host.ship(A))
    assert not host.releases.reserve.exists()


@pytest.mark.parametrize("fails", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("inodes", [False, True])
def test_a_rollback_gives_up_the_reserve(
    live: FakeHost,
    disk: Disk,
    fails: int,
    inodes: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    disk(fails=fails, inodes=inodes)
    assert rollback(live, monkeypatch) == 0
    assert live.releases.current() == B
    assert "slipway: the disk is full: gave up the" in capsys.readouterr().err
    assert {record.release for record in live.releases.all()} == {A, B, C, D}


def test_then_it_removes_failed_and_old_releases_but_never_where_it_goes(
    live: FakeHost, disk: Disk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    disk(frees=(D, A))
    assert rollback(live, monkeypatch) == 0
    assert live.releases.current() == B
    told = capsys.readouterr().err
    assert told.index(f"removed the release {D}") < told.index(f"removed the release {A}")
    # Who rolls back from a controller sees it there.
    assert f"room gave up the 0 MiB that were kept for this in {live.releases.reserve}; removed" in text(status(live))
    assert {record.release for record in live.releases.all()} == {B, C}


def test_where_nothing_can_be_given_up_the_error_says_what_to_do(
    live: FakeHost, disk: Disk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    live.releases.give_up_reserve()
    disk(frees=(B, C))
    assert rollback(live, monkeypatch) == 1
    told = capsys.readouterr().err
    assert "No space left on device: the disk is full, and Slipway has nothing more to give up" in told
    assert "journalctl --vacuum-size" in told
    assert live.releases.current() == C


def test_records_and_the_audit_are_written_with_the_reserve(live: FakeHost, disk: Disk) -> None:
    disk()
    live.releases.save(Record(release=A, cause="written"))
    assert live.releases.record(A).cause == "written"
    assert not live.releases.reserve.exists()
    room.keep_reserve(live.releases)
    full = [OSError(errno.ENOSPC, "No space left on device")]

    def write(*_args: Any, **_options: Any) -> str:
        if full:
            raise full.pop()
        return "entry"

    audit_write, audit.write = audit.write, write
    try:
        assert audit.activation(live, live.releases.record(A), "done", 1, None) == "audit entry"
    finally:
        audit.write = audit_write


def test_another_error_gives_nothing_up(live: FakeHost, disk: Disk) -> None:
    disk(fails=errno.EIO)
    with pytest.raises(OSError, match="Input/output"):
        live.releases.save(Record(release=A))
    assert live.releases.reserve.exists()


@pytest.mark.parametrize(
    ("free_bytes", "free_inodes", "state"),
    [
        (room.FULL_BYTES, room.FULL_INODES, "healthy"),
        (room.FULL_BYTES - 1, 10**6, "unhealthy"),
        (10**12, room.FULL_INODES - 1, "unhealthy"),
    ],
)
def test_a_host_with_a_full_disk_is_unhealthy(
    live: FakeHost, folder: Path, monkeypatch: pytest.MonkeyPatch, free_bytes: int, free_inodes: int, state: str
) -> None:
    (folder / "data").mkdir()
    live.disks = (folder / "nothing", folder / "data")
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=free_bytes))
    monkeypatch.setattr(os, "statvfs", lambda _path: SimpleNamespace(f_favail=free_inodes, f_files=10**6))
    values = status(live)
    assert values["state"] == state
    assert (f"problem   the disk of {live.releases.root} is full (" in text(values)) == (state == "unhealthy")


def test_a_full_disk_and_the_crashes_that_it_causes_are_told_together(
    live: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=0))
    live.systemd.behaviours[C].crashed = Crashes(restarts=9)
    problem = status(live)["problem"]
    assert problem.index("is full (0 MiB") < problem.index("; web: crashed 9 times")
