"""What is written of each release."""

import json
import os
from pathlib import Path

import pytest

from slipway.engine.durable import sync_file_systems, write_atomically
from slipway.engine.releases import Releases
from slipway.model.errors import SlipwayError
from slipway.model.record import PhaseRun, Record
from slipway.model.states import ReleaseState
from tests.engine.fakes import FakeHost
from tests.engine.names import A, B, C


@pytest.fixture
def releases(host: FakeHost) -> Releases:
    return host.releases


def write(releases: Releases, text: str) -> None:
    (releases.folder / f"{A}.json").write_text(text)


def test_a_record_comes_back_as_it_was_saved(releases: Releases) -> None:
    record = Record(release=A, commit="a" * 40, identity={"image": "x"}, phases=[PhaseRun("start", 0.1)])
    releases.save(record)
    assert releases.record(A) == record


def test_fields_of_a_newer_engine_are_left_out(releases: Releases) -> None:
    write(releases, json.dumps({"release": A, "state": "retired", "invented_later": 1}))
    assert releases.record(A) == Record(release=A, state=ReleaseState.RETIRED)


def test_fields_of_a_newer_engine_that_an_older_record_lacks_have_a_default(releases: Releases) -> None:
    write(releases, json.dumps({"release": A}))
    assert releases.record(A) == Record(release=A)


def test_a_missing_record_says_what_to_type(releases: Releases) -> None:
    with pytest.raises(SlipwayError, match=f"no release {A} on this host. `slipway status`"):
        releases.record(A)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"text"', "\x00"])
def test_a_damaged_record_names_its_file(releases: Releases, text: str) -> None:
    write(releases, text)
    with pytest.raises(SlipwayError, match=rf"{A}\.json cannot be read"):
        releases.record(A)


def test_a_record_under_another_name_belongs_to_that_name(releases: Releases) -> None:
    write(releases, json.dumps({"release": B}))
    assert releases.record(A).release == A


def test_all_lists_complete_releases_newest_first(host: FakeHost) -> None:
    for release in (B, A, C):
        host.ship(release)
    (host.releases.folder / f"{B}.json").unlink()
    host.releases.partial(A).mkdir()
    (host.releases.folder / "lost+found").mkdir()
    host.releases.save(Record(release="20261109T100000-9999999"))
    listed = host.releases.all()
    assert [record.release for record in listed] == [C, B, A]
    assert (listed[1].state, listed[1].healthy, listed[1].cause) == (
        "failed",
        False,
        "its record is missing or damaged",
    )


def test_a_host_that_never_had_a_release_lists_none(folder: Path) -> None:
    assert Releases(root=folder / "nothing").all() == []


def test_a_file_is_on_the_disk_before_it_replaces_the_old_one_and_its_name_afterwards(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = folder / "record"
    file.write_text("old")
    seen: list[tuple[str, str]] = []

    def fsync(descriptor: int) -> None:
        synced = Path(f"/proc/self/fd/{descriptor}").readlink()
        seen.append((file.read_text(), "names" if synced == folder else synced.read_text()))

    monkeypatch.setattr(os, "fsync", fsync)
    write_atomically(file, "new")
    assert seen == [("old", "new"), ("new", "names")]
    assert file.read_text() == "new"


def test_a_write_that_fails_leaves_the_old_text(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = folder / "record"
    file.write_text("old")

    def fsync(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match="No space"):
        write_atomically(file, "new")
    assert file.read_text() == "old"


def test_a_sync_that_fails_is_an_error(folder: Path) -> None:
    sync_file_systems(folder)
    with pytest.raises(OSError, match="nothing"):
        sync_file_systems(folder / "nothing")
