"""Which releases go, and which never do."""

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from slipway.engine import deploy
from slipway.engine.prune import prune
from slipway.engine.releases import remove_tree
from tests.engine.fakes import FakeHost
from tests.engine.names import A, B, C, D, E, F

ALL = (A, B, C, D, E)


def here(host: FakeHost) -> list[str]:
    return sorted(path.name for path in host.releases.sealed.iterdir() if path.is_dir())


@pytest.fixture
def five(host: FakeHost) -> FakeHost:
    """E is live, D its rollback target."""
    for release in ALL:
        deploy.activate(host, host.ship(release))
    return host


@pytest.mark.parametrize(
    ("keep", "left"), [(9, [*ALL]), (5, [*ALL]), (4, [B, C, D, E]), (3, [C, D, E]), (2, [D, E]), (1, [D, E])]
)
def test_the_newest_stay_and_never_fewer_than_live_and_its_rollback_target(
    five: FakeHost, keep: int, left: list[str]
) -> None:
    five.site = replace(five.site, keep=keep)
    prune(five)
    assert here(five) == left
    assert [record.release for record in five.releases.all()] == sorted(left, reverse=True)
    assert not [name for name in ALL if name not in left and (five.releases.folder / f"{name}.json").exists()]


def test_the_live_release_stays_even_if_it_is_the_oldest(five: FakeHost) -> None:
    five.releases.set_current(A)
    for link in ("live", "canary"):
        five.releases.set_slice(link, None)
    assert five.releases.prunable(1, set()) == [B, C, D, E]


def test_what_a_slice_points_at_stays(five: FakeHost) -> None:
    five.releases.set_slice("canary", A)
    assert five.releases.prunable(1, set()) == [B, C]


def test_what_arrived_goes_with_its_release(five: FakeHost) -> None:
    """The host went down after the sealing, so nothing had removed it yet."""
    five.releases.partial(A).mkdir(parents=True)
    five.site = replace(five.site, keep=2)
    prune(five)
    assert here(five) == [D, E]
    assert not five.releases.partial(A).exists()


def test_what_runs_stays(five: FakeHost) -> None:
    five.site = replace(five.site, keep=1)
    five.systemd.states[f"app@{B}.service"] = "deactivating"
    prune(five)
    assert here(five) == [B, D, E]


def test_what_is_in_use_stays(five: FakeHost) -> None:
    five.site = replace(five.site, keep=1)
    prune(five, in_use={A})
    assert here(five) == [A, D, E]


def test_every_activation_prunes(host: FakeHost) -> None:
    host.site = replace(host.site, keep=3)
    for release in ALL:
        deploy.activate(host, host.ship(release))
    assert here(host) == [C, D, E]


def test_one_that_is_half_removed_is_listed_as_failed(five: FakeHost) -> None:
    five.releases.forget(D)
    record = {record.release: record for record in five.releases.all()}[D]
    assert (record.state, record.healthy) == ("failed", False)
    assert five.releases.rollback_target() is None
    five.site = replace(five.site, keep=1)
    prune(five)
    assert here(five) == [E]


def as_nobody(do: Callable[[], None]) -> bool:
    """Run in a child without root's rights, which would not be kept out of anything. Returns whether it went well."""
    child = os.fork()
    if child == 0:
        try:
            if os.geteuid() == 0:
                os.setgid(65534)
                os.setuid(65534)
            do()
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_an_images_read_only_folders_do_not_keep_it_from_being_removed(folder: Path) -> None:
    folder.chmod(0o777)

    def make_and_remove() -> None:
        tree = folder / "tree"
        below = tree / "a/b"
        below.mkdir(parents=True)
        (below / "file").write_text("x")
        for each, mode in ((below, 0o500), (tree / "a", 0o000), (tree, 0o500)):
            each.chmod(mode)
        remove_tree(tree)

    assert as_nobody(make_and_remove)
    assert not (folder / "tree").exists()


def test_removing_follows_no_link(folder: Path) -> None:
    outside = folder / "outside"
    outside.mkdir(mode=0o500)
    (folder / "tree").mkdir()
    (folder / "tree/link").symlink_to(outside)
    (folder / "link").symlink_to(outside)
    remove_tree(folder / "tree")
    remove_tree(folder / "link")
    remove_tree(folder / "nothing")
    assert [path.name for path in folder.iterdir()] == ["outside"]
    assert outside.stat().st_mode & 0o777 == 0o500


def test_failed_releases_go_before_healthy_ones(five: FakeHost) -> None:
    for name in (A, C):
        record = five.releases.record(name)
        record.healthy = name != C
        five.releases.save(record)
    assert five.releases.prunable(4, set()) == [C]
    assert five.releases.prunable(3, set()) == [C, A]


@pytest.mark.parametrize(("minutes", "stays"), [(5, True), (70, False)])
def test_a_release_that_waits_for_its_turn_stays(five: FakeHost, minutes: int, stays: bool) -> None:
    five.site = replace(five.site, keep=2)
    shipped = datetime.now(UTC) - timedelta(minutes=minutes)
    five.ship(F, state="shipped", shipped_at=shipped.isoformat())
    prune(five)
    assert here(five) == sorted([D, E, *([F] if stays else [])])


def test_what_a_queued_rollback_goes_to_stays(five: FakeHost) -> None:
    five.site = replace(five.site, keep=2)
    requested_at = datetime.now(UTC).isoformat()
    five.change(B, request={"kind": "rollback", "state": "requested", "at": requested_at, "lock_wait": 600})
    prune(five)
    assert here(five) == [B, D, E]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives folders away")
def test_empty_folders_that_systemd_made_are_no_obstacle(host: FakeHost) -> None:
    tree = host.releases.sealed / A
    for name in ("usr/bin", "root", "dev"):
        (tree / name).mkdir(parents=True)
    for path in (host.releases.sealed, tree, tree / "usr", tree / "usr/bin"):
        os.chown(path, 65534, 65534)
    (tree / "root").chmod(0o700)
    (tree / "dev").chmod(0o555)
    host.releases.root.parent.chmod(0o755)
    assert as_nobody(lambda: remove_tree(tree))
    assert not tree.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives folders away")
def test_root_removes_what_is_somebody_elses(host: FakeHost) -> None:
    tree = host.releases.sealed / A
    (tree / "below").mkdir(parents=True)
    (tree / "below/file").touch()
    for path in (tree, tree / "below", tree / "below/file"):
        os.chown(path, 65534, 65534)
    remove_tree(tree)
    assert not tree.exists()
