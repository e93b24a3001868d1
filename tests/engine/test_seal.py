"""Sealing: what becomes of what was shipped, and what an attacker who ships can do to it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from slipway.engine import deploy, seal, ship
from slipway.engine.prune import prune
from slipway.engine.releases import Releases, remove_tree
from slipway.model.errors import SlipwayError, UsageError
from slipway.model.names import FILE_LIST
from tests.engine.fakes import FakeHost
from tests.engine.manifests import manifest
from tests.engine.names import A, B, C


def arrive(host: FakeHost, release: str, files: dict[str, str], names: list[str] | None) -> Path:
    """Let files arrive, and the list of all names; without a list they are all that there is."""
    ship.begin(host, release, manifest(image=f"sha256:{release[:8]:0>64}"))
    root = host.releases.partial(release)
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
        os.utime(root / name, (1000, 1000))
    if names is not None:
        (root / FILE_LIST).write_bytes(b"".join(name.encode() + b"\0" for name in names))
    return root


@pytest.fixture
def live(host: FakeHost) -> FakeHost:
    """A is live, with code and a library."""
    arrive(host, A, {"bin/sh": "sh", "app/code.py": "one", "lib/big.so": "library", "lib/old.so": "old"}, None)
    ship.end(host, A)
    deploy.activate(host, A)
    return host


def test_what_was_not_sent_is_the_live_releases_and_what_is_not_listed_is_gone(live: FakeHost) -> None:
    root = arrive(live, B, {"app/code.py": "two"}, ["bin", "bin/sh", "app", "app/code.py", "lib", "lib/big.so"])
    ship.end(live, B)
    old, new = live.releases.path(A), live.releases.path(B)
    assert (new / "app/code.py").read_text() == "two"
    assert (old / "app/code.py").read_text() == "one"
    assert (new / "lib/big.so").samefile(old / "lib/big.so")
    assert not (new / "lib/old.so").exists()
    assert not (new / FILE_LIST).exists()
    deploy.activate(live, B)
    assert not root.exists()


def test_what_is_sealed_shares_nothing_with_what_arrived(host: FakeHost) -> None:
    root = arrive(host, A, {"bin/sh": "sh", "app/code.py": "good"}, None)
    other = root.parent / "other-name"
    other.hardlink_to(root / "app/code.py")
    with (root / "app/code.py").open("r+") as kept:
        ship.end(host, A)
        kept.write("evil")
    other.write_text("evil")
    assert (host.releases.path(A) / "app/code.py").read_text() == "good"


def test_times_stay_so_that_the_next_shipment_sends_little(host: FakeHost) -> None:
    root = arrive(host, A, {"bin/sh": "sh", "a": "1"}, None)
    (root / "link").symlink_to("a")
    os.utime(root / "link", (2000, 2000), follow_symlinks=False)
    ship.end(host, A)
    sealed = host.releases.path(A)
    assert [(sealed / name).lstat().st_mtime for name in ("a", "link")] == [1000, 2000]


@pytest.mark.parametrize(("mode", "sealed"), [(0o644, 0o644), (0o600, 0o644), (0o6755, 0o755), (0o777, 0o755)])
def test_modes_are_those_of_a_release_whatever_was_sent(host: FakeHost, mode: int, sealed: int) -> None:
    root = arrive(host, A, {"bin/sh": "sh"}, None)
    (root / "bin/sh").chmod(mode)
    (root / "bin").chmod(0o2777)
    ship.end(host, A)
    assert (host.releases.path(A) / "bin/sh").stat().st_mode & 0o7777 == sealed
    assert (host.releases.path(A) / "bin").stat().st_mode & 0o7777 == 0o755


def test_files_with_several_names_stay_one(host: FakeHost) -> None:
    root = arrive(host, A, {"bin/sh": "sh"}, None)
    (root / "bin/dash").hardlink_to(root / "bin/sh")
    ship.end(host, A)
    sealed = host.releases.path(A)
    assert (sealed / "bin/dash").samefile(sealed / "bin/sh")
    assert not (sealed / "bin/sh").samefile(root / "bin/sh") if root.exists() else True


def test_a_folder_that_was_a_link_and_a_link_that_was_a_folder(live: FakeHost) -> None:
    root = arrive(live, B, {"bin/sh": "sh", "one/file": "1"}, None)
    (root / "two").symlink_to("one")
    ship.end(live, B)
    deploy.activate(live, B)
    root = arrive(live, C, {"two/file": "2"}, ["bin/sh", "one", "two/file"])
    (root / "one").symlink_to("two")
    ship.end(live, C)
    assert (live.releases.path(C) / "one").readlink() == Path("two")
    assert (live.releases.path(C) / "two/file").read_text() == "2"
    assert (live.releases.path(B) / "one/file").read_text() == "1"


# Attacks


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc/x", "a//x", "./x", f"../{A}/app/code.py"])
def test_a_name_that_leads_out_of_the_release_is_refused(live: FakeHost, name: str) -> None:
    root = arrive(live, B, {"bin/sh": "sh"}, ["bin/sh", name])
    with pytest.raises(SlipwayError, match="no path below the release"):
        ship.end(live, B)
    assert not live.releases.path(B).exists()
    assert [path.name for path in live.releases.sealed.iterdir() if path.name != f".{B}.error"] == [A]
    assert root.exists()


def test_a_link_with_names_below_it_changes_no_other_release(live: FakeHost) -> None:
    root = arrive(live, B, {"bin/sh": "sh"}, ["bin/sh", "way", "way/code.py"])
    (root / "way").symlink_to(live.releases.path(A) / "app")
    (root / "code.py").write_text("evil")
    with pytest.raises(SlipwayError, match=r"way/code\.py did not arrive"):
        ship.end(live, B)
    assert (live.releases.path(A) / "app/code.py").read_text() == "one"


def test_a_fifo_is_refused_and_does_not_block(host: FakeHost) -> None:
    root = arrive(host, A, {"bin/sh": "sh"}, None)
    os.mkfifo(root / "pipe")
    with pytest.raises(SlipwayError, match="/pipe is no file, folder or symbolic link"):
        ship.end(host, A)
    assert not host.releases.path(A).exists()


def test_a_file_that_did_not_arrive_is_told(live: FakeHost) -> None:
    arrive(live, B, {"bin/sh": "sh"}, ["bin/sh", "app/new.py"])
    with pytest.raises(SlipwayError, match=r"/app/new\.py did not arrive"):
        ship.end(live, B)


SWAP = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
print("ready", flush=True)
while True:
    libc.renameat2(-100, sys.argv[1].encode(), -100, sys.argv[2].encode(), 2)
"""


@pytest.fixture
def swapping(host: FakeHost) -> Iterator[Path]:
    """A folder of a shipment and a link to where secrets are change places all the time (renameat2, exchange)."""
    files = {f"app/{number}.py": f"{number}" for number in range(200)}
    root = arrive(host, A, {"bin/sh": "sh"} | files, None)
    secrets = host.units.parent / "secrets"
    secrets.mkdir()
    for number in range(200):
        (secrets / f"{number}.py").write_text("secret")
    (root / "evil").symlink_to(secrets)
    swapper = subprocess.Popen(
        [sys.executable, "-c", SWAP, str(root / "app"), str(root / "evil")], stdout=subprocess.PIPE
    )
    with swapper:
        assert swapper.stdout
        swapper.stdout.readline()
        yield root
        swapper.kill()


def test_a_folder_that_is_exchanged_for_a_link_is_never_followed(host: FakeHost, swapping: Path) -> None:
    sealed = 0
    for _ in range(40):
        try:
            seal.seal(host.releases, A)
        except (SlipwayError, OSError):
            continue
        sealed += 1
        for path in host.releases.path(A).rglob("*.py"):
            assert path.read_text() != "secret"
        remove_tree(host.releases.path(A))
    assert swapping.exists()
    assert sealed or host.releases.seal_error(A)


# What is left, and what goes


def test_a_seal_that_was_killed_is_made_anew(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    arrive(host, A, {"bin/sh": "sh"}, None)
    (host.releases.sealed / f".{B}.new/left").mkdir(parents=True)
    ship.end(host, A)
    assert [path.name for path in host.releases.sealed.iterdir()] == [A]


def test_a_release_with_traffic_keeps_its_files(live: FakeHost) -> None:
    with pytest.raises(SlipwayError, match="has traffic"):
        seal.remove(live.releases, A)
    assert live.releases.path(A).is_dir()


@pytest.mark.parametrize("name", ["../releases", "..", "", ".live.link"])
def test_only_a_release_is_sealed_or_removed(host: FakeHost, name: str) -> None:
    for do in (seal.seal, seal.remove):
        with pytest.raises(UsageError):
            do(host.releases, name)


# Releases of engines before sealing


@pytest.fixture
def old(host: FakeHost) -> Releases:
    """A and B as such an engine left them: B shares a file with A, and is live."""
    host.releases.sealed.rmdir()
    for release in (A, B):
        root = host.releases.folder / release
        (root / ".slipway").mkdir(parents=True)
        (root / ".slipway/web").write_text("#!/bin/sh\n")
        (root / ".slipway/port").write_text("8000\n")
    (host.releases.folder / A / "same").write_text("same")
    (host.releases.folder / B / "same").hardlink_to(host.releases.folder / A / "same")
    host.releases.set_current(B)
    for name in ("live", "canary"):
        host.releases.slice_link(name).symlink_to(host.releases.socket(B))
    return host.releases


def test_old_releases_are_sealed_and_share_what_they_shared(old: Releases) -> None:
    assert [line.split()[0] for line in seal.adopt(old)][:3] == ["created", "sealed", "sealed"]
    assert (old.path(A) / "same").samefile(old.path(B) / "same")
    assert not (old.path(A) / "same").samefile(old.folder / A / "same")
    assert old.slice("live") == B
    assert seal.adopt(old) == []


def test_the_tree_before_sealing_stays_while_its_units_run(host: FakeHost, old: Releases) -> None:
    seal.adopt(old)
    host.systemd.states[f"app@{B}.service"] = "active"
    prune(host)
    assert [path.name for path in old.unsealed()] == [B]
    host.systemd.states[f"app@{B}.service"] = "inactive"
    prune(host)
    assert old.unsealed() == []
    assert old.path(B).is_dir()


def test_an_old_release_that_cannot_be_sealed_is_left_out_unless_it_is_live(old: Releases) -> None:
    os.mkfifo(old.folder / A / "pipe")
    assert any(line.startswith(f"did not seal {A}") for line in seal.adopt(old))
    remove_tree(old.path(B))
    os.mkfifo(old.folder / B / "pipe")
    with pytest.raises(SlipwayError, match=f"live release {B} cannot be sealed"):
        seal.adopt(old)


def test_a_folder_of_somebody_else_in_place_of_the_sealed_ones_is_refused(old: Releases) -> None:
    old.sealed.symlink_to("/tmp")
    with pytest.raises(SlipwayError, match="remove it"):
        seal.adopt(old)


def test_a_link_of_somebody_else_is_replaced(old: Releases) -> None:
    old.slice_link("live").unlink()
    old.slice_link("live").write_text("no link")
    seal.adopt(old)
    assert old.slice("live") is None
    assert old.slice_link("live").is_symlink()
