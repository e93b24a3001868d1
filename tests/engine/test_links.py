"""The links to the release that serves."""

import threading
import time
from pathlib import Path

import pytest

from slipway.engine.releases import Releases
from tests.engine.fakes import FakeHost
from tests.engine.names import A, B


@pytest.fixture
def releases(host: FakeHost) -> Releases:
    return host.releases


@pytest.mark.parametrize("name", ["current", "live.sock"])
def test_a_reader_never_sees_a_link_missing_while_it_is_swapped(releases: Releases, name: str) -> None:
    link = releases.root / name
    swap = releases.set_current if name == "current" else lambda release: releases.set_slice("live", release)
    swap(A)
    seen, missing, done = set(), [], threading.Event()

    def read() -> None:
        while not done.is_set():
            try:
                seen.add(link.readlink().name.removesuffix(".sock"))
            except FileNotFoundError as error:
                missing.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    deadline, swaps = time.monotonic() + 20, 0
    # As long as it takes that the reader had its turns: who runs when is the machine's business.
    while (swaps < 300 or seen != {A, B}) and time.monotonic() < deadline:
        for release in (B, A):
            swap(release)
            time.sleep(0)
        swaps += 1
    done.set()
    reader.join()
    assert missing == []
    assert seen == {A, B}


def test_what_a_killed_swap_left_behind_is_replaced(releases: Releases) -> None:
    (releases.root / ".current.new").symlink_to("somewhere")
    (releases.sealed / ".live.link").write_text("a file")
    releases.set_current(A)
    releases.set_slice("live", A)
    assert (releases.current(), releases.slice("live")) == (A, A)
    assert sorted(path.name for path in releases.root.iterdir()) == ["current", "live.sock", "releases", "sealed"]


def test_current_is_relative_and_slices_are_absolute(releases: Releases) -> None:
    releases.set_current(A)
    releases.set_slice("canary", A)
    assert (releases.root / "current").readlink() == Path("sealed") / A
    assert (releases.root / "canary.sock").readlink() == releases.socket(A)


def test_nothing_is_live_without_links(releases: Releases) -> None:
    assert releases.current() is releases.slice("live") is releases.slice("canary") is None
    releases.set_current(None)
    releases.set_slice("live", None)


def test_a_link_can_be_taken_away(releases: Releases) -> None:
    releases.set_current(A)
    releases.set_slice("live", A)
    releases.set_current(None)
    releases.set_slice("live", None)
    assert releases.current() is releases.slice("live") is None


@pytest.mark.parametrize("target", ["/etc/passwd", "releases", f"/run/app/{A}", f"/run/app/{A}.sock.bak", "/"])
def test_a_link_to_something_else_is_no_release(releases: Releases, target: str) -> None:
    (releases.root / "live.sock").symlink_to(target)
    assert releases.slice("live") is None


def test_a_file_in_place_of_a_link_is_no_release_and_is_replaced(releases: Releases) -> None:
    (releases.root / "current").write_text(A)
    assert releases.current() is None
    releases.set_current(A)
    assert releases.current() == A
