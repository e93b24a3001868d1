"""Receiving a release: what is refused, and what is made."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from slipway.engine import deploy, lock, room, ship, tree
from slipway.engine.lock import Holder
from slipway.model.errors import SlipwayError, UsageError
from slipway.model.manifest import Manifest
from slipway.model.states import ReleaseState
from tests.engine.fakes import FakeHost
from tests.engine.manifests import manifest, values
from tests.engine.names import A, B, C, D, E

OTHER = {"amd64": "arm64"}.get(ship.architecture(), "amd64")


def arrive(host: FakeHost, release: str) -> Path:
    """What rsync brings."""
    root = host.releases.partial(release)
    (root / "bin").mkdir(parents=True)
    (root / "bin/sh").symlink_to("/bin/dash")
    return root


def ship_whole(host: FakeHost, release: str, **changed: object) -> None:
    ship.begin(host, release, manifest(**changed))
    arrive(host, release)
    ship.end(host, release)


# The manifest


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "null",
        "[]",
        '["image"]',
        '"image"',
        "7",
        "{}",
        *(
            json.dumps(values(**{name: value}))
            for name, value in {
                "image": 7,
                "architecture": None,
                "commit": ["x"],
                "cmd": "serve",
                "entrypoint": [1],
                "env": ["A=b"],
                "settings": {"A": 1},
                "procfile": {"worker": None},
                "bytes": "many",
                "workdir": "/a\0b",
            }.items()
        ),
    ],
)
def test_what_is_no_manifest_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="manifest on standard input cannot be read"):
        Manifest.parse(text)


def test_an_image_without_a_command_is_refused() -> None:
    with pytest.raises(UsageError, match="CMD or an ENTRYPOINT"):
        manifest(cmd=[], entrypoint=[])


@pytest.mark.parametrize("field", ["settings", "secrets_as_environment", "procfile"])
@pytest.mark.parametrize("name", ["", "A B", "A;id", "../x", "A=B", "A\n", "é"])
def test_a_name_that_would_leave_its_line_is_refused(field: str, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be the name of"):
        manifest(**{field: [name] if field == "secrets_as_environment" else {name: "x"}})


@pytest.mark.parametrize("field", ["settings", "secrets_as_environment"])
def test_a_dash_is_for_processes_only(field: str) -> None:
    with pytest.raises(UsageError):
        manifest(**{field: ["a-b"] if field == "secrets_as_environment" else {"a-b": ""}, "procfile": {"a-b": "x"}})
    assert manifest(procfile={"send-mail": "x"}).procfile


@pytest.mark.parametrize("name", ["env", "run"])
def test_a_process_may_not_have_the_name_of_what_slipway_writes(name: str) -> None:
    with pytest.raises(UsageError, match=f"'{name}' is Slipway's own name"):
        manifest(procfile={name: "x"})


def test_null_is_an_empty_value() -> None:
    image = manifest(entrypoint=None, commit=None, env=None).image
    assert (image.entrypoint, image.commit, image.env) == ([], None, {})


@pytest.mark.parametrize("value", [1, None, {"a": "b"}])
@pytest.mark.parametrize("name", ["added_later", "preload", "force", "id", "name"])
def test_an_unknown_field_is_an_error_that_names_it(name: str, value: object) -> None:
    with pytest.raises(UsageError, match=f"cannot be read: unknown field '{name}'"):
        manifest(**{name: value})


# Begin


def test_it_says_where_the_files_go(host: FakeHost) -> None:
    answer = ship.begin(host, A, manifest())
    partial = host.releases.partial(A)
    assert answer == {
        "unchanged": False,
        "live": None,
        "partial": str(partial),
        "link_dest": None,
        "compare_dest": None,
    }
    assert list(partial.iterdir()) == []


def test_files_of_the_live_release_are_not_sent(host: FakeHost) -> None:
    deploy.activate(host, host.ship(A))
    answer = ship.begin(host, B, manifest())
    assert (answer["compare_dest"], answer["link_dest"]) == (str(host.releases.path(A)), None)


def test_the_first_shipment_ever_makes_the_folder(host: FakeHost) -> None:
    host.releases.folder.rmdir()
    ship.begin(host, A, manifest())
    assert host.releases.partial(A).is_dir()


def test_a_bad_name_is_refused(host: FakeHost) -> None:
    for call in (lambda: ship.begin(host, "../x", manifest()), lambda: ship.end(host, "../x")):
        with pytest.raises(UsageError, match="not the name of a release"):
            call()


def test_an_image_for_another_machine_is_refused_and_the_build_is_named(host: FakeHost) -> None:
    with pytest.raises(UsageError, match=f"--platform linux/{ship.architecture()}"):
        ship.begin(host, A, manifest(architecture=OTHER))
    assert list(host.releases.folder.iterdir()) == []


def test_a_release_that_is_here_already_is_refused(host: FakeHost) -> None:
    host.ship(A)
    with pytest.raises(SlipwayError, match="on this host already"):
        ship.begin(host, A, manifest())


# Unchanged


@pytest.fixture
def live(host: FakeHost) -> FakeHost:
    ship_whole(host, A)
    deploy.activate(host, A)
    return host


def test_the_same_image_settings_secrets_and_units_are_nothing_to_do(live: FakeHost) -> None:
    answer = ship.begin(live, B, manifest(commit="b" * 40, by="bob"))
    assert answer["unchanged"]
    assert not live.releases.partial(B).exists()


@pytest.mark.parametrize(
    "changed",
    [{"image": "sha256:" + "2" * 64}, {"settings": {"A": "b"}}, {"secrets_as_environment": ["TOKEN"]}],
    ids=["image", "settings", "secrets as environment"],
)
def test_another_image_or_setting_is_a_new_release(live: FakeHost, changed: dict[str, object]) -> None:
    assert not ship.begin(live, B, manifest(**changed))["unchanged"]


@pytest.mark.parametrize("file", ["secrets.hash", "units/app@.service"])
def test_another_secret_or_unit_is_a_new_release(live: FakeHost, file: str) -> None:
    (live.units.parent / file).write_text("changed")
    assert not ship.begin(live, B, manifest())["unchanged"]


def test_a_live_release_that_is_down_is_no_reason_to_do_nothing(live: FakeHost) -> None:
    live.systemd.stop(f"app@{A}.service")
    assert not ship.begin(live, B, manifest())["unchanged"]


@pytest.mark.parametrize("text", [None, "{"])
def test_a_live_release_whose_record_is_lost_can_be_replaced(live: FakeHost, text: str | None) -> None:
    file = live.releases.folder / f"{A}.json"
    file.write_text(text) if text else file.unlink()
    assert not ship.begin(live, B, manifest())["unchanged"]


# Room


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, int], None]:
    """Sets the free bytes and inodes; each release that is here takes its share."""

    def set_free(free_bytes: int, free_inodes: int, inodes: int = 10**6) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=free_bytes))
        monkeypatch.setattr(os, "statvfs", lambda _path: SimpleNamespace(f_favail=free_inodes, f_files=inodes))

    return set_free


@pytest.mark.parametrize(
    ("free_bytes", "free_inodes", "fits"),
    [
        (room.RESERVE_BYTES + 2000, room.RESERVE_INODES + 20, True),
        (room.RESERVE_BYTES + 1999, room.RESERVE_INODES + 20, False),
        (room.RESERVE_BYTES + 2000, room.RESERVE_INODES + 19, False),
    ],
)
def test_a_release_arrives_only_where_the_reserve_stays_free(
    host: FakeHost, free: Callable[[int, int], None], free_bytes: int, free_inodes: int, fits: bool
) -> None:
    free(free_bytes, free_inodes)
    if fits:
        ship.begin(host, A, manifest())
        return
    with pytest.raises(SlipwayError, match=r"not enough room .* Lower release_keep"):
        ship.begin(host, A, manifest())
    assert list(host.releases.folder.iterdir()) == []


def test_a_file_system_that_counts_no_inodes_is_not_full(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=10**12))
    monkeypatch.setattr(os, "statvfs", lambda _path: SimpleNamespace(f_favail=0, f_files=0))
    assert room.disk(host.releases)["free_inodes"] > 10**9


def test_where_room_is_short_the_releases_that_are_too_many_go_first(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    for release in (A, B, C, D):
        deploy.activate(host, host.ship(release))
    host.site = replace(host.site, keep=2)
    monkeypatch.setattr(
        shutil, "disk_usage", lambda _path: SimpleNamespace(free=0 if host.releases.path(A).exists() else 10**12)
    )
    ship.begin(host, E, manifest())
    assert sorted(record.release for record in host.releases.all()) == [C, D]


def test_nothing_is_pruned_under_an_activation(
    host: FakeHost, free: Callable[[int, int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    for release in (A, B, C):
        deploy.activate(host, host.ship(release))
    host.site = replace(host.site, keep=1)
    free(0, 0)
    monkeypatch.setattr(lock, "MIN_TIMEOUT_SECONDS", 0)
    with lock.held(host.lock_file, Holder()), pytest.raises(SlipwayError, match="not enough room"):
        ship.begin(host, D, manifest())
    assert host.releases.path(A).exists()


# Partial releases


def test_an_earlier_try_is_removed_before_the_next(host: FakeHost) -> None:
    ship.begin(host, A, manifest())
    arrive(host, A)
    ship.begin(host, A, manifest())
    assert list(host.releases.partial(A).iterdir()) == []


def test_one_without_a_manifest_is_removed_too(host: FakeHost) -> None:
    arrive(host, A)
    ship.begin(host, A, manifest())
    assert list(host.releases.partial(A).iterdir()) == []


def test_removing_it_leaves_the_files_that_it_shares_with_an_older_release(host: FakeHost) -> None:
    host.ship(A)
    shared = host.releases.path(A) / "file"
    shared.write_text("old")
    ship.begin(host, B, manifest())
    (host.releases.partial(B) / "file").hardlink_to(shared)
    ship.begin(host, B, manifest())
    assert shared.read_text() == "old"
    assert shared.stat().st_nlink == 1


def test_an_abandoned_shipment_is_removed_by_the_next_one(host: FakeHost) -> None:
    for release, age in ((A, ship.STALE_SECONDS + 10), (B, ship.STALE_SECONDS - 10)):
        ship.begin(host, release, manifest())
        file = host.releases.folder / f".{release}.manifest.json"
        began = file.stat().st_mtime - age
        os.utime(file, (began, began))
    ship.begin(host, C, manifest())
    assert [host.releases.partial(release).exists() for release in (A, B, C)] == [False, True, True]
    assert not (host.releases.folder / f".{A}.manifest.json").exists()


# End


def test_a_shipment_that_takes_long_is_left_alone(host: FakeHost) -> None:
    ship.begin(host, A, manifest())
    began = time.time() - 7200
    os.utime(host.releases.folder / f".{A}.manifest.json", (began, began))
    partial = host.releases.partial(A)
    # What rsync's command looks like on the receiving side, once it runs.
    runs = [sys.executable, "-c", "import time; print(flush=True); time.sleep(60)", f"{partial}/"]
    with subprocess.Popen(runs, stdout=subprocess.PIPE) as receiver:
        assert receiver.stdout
        receiver.stdout.readline()
        ship.begin(host, B, manifest())
        assert partial.is_dir()
        receiver.kill()
    ship.begin(host, C, manifest())
    assert not partial.exists()


def test_a_shipment_that_is_called_off_leaves_nothing(host: FakeHost) -> None:
    ship.begin(host, A, manifest())
    (host.releases.partial(A) / "app").write_text("half of it")
    ship.cancel(host, A)
    assert list(host.releases.folder.iterdir()) == []
    ship.cancel(host, A)


def test_a_complete_release_has_its_scripts_mount_points_and_record(host: FakeHost) -> None:
    ship_whole(host, A)
    root = host.releases.path(A)
    assert all((root / point).is_dir() for point in tree.MOUNT_POINTS)
    assert (root / "etc/resolv.conf").readlink() == Path("/run/name-resolution/resolv.conf")
    assert (root / "etc/hosts").readlink() == Path("/run/name-resolution/hosts")
    assert sorted(path.name for path in (root / ".slipway").iterdir()) == ["env", "ports", "process", "web"]
    record = host.releases.record(A)
    assert (record.state, record.commit, record.healthy) == (ReleaseState.SHIPPED, "a" * 40, False)
    assert (record.request, record.shipped_by) == (None, "alice@laptop")
    assert sorted(record.identity) == ["image", "secrets", "settings", "units"]
    assert sorted(path.name for path in host.releases.folder.iterdir()) == [f".{A}.partial", f"{A}.json"]
    assert [path.name for path in host.releases.sealed.iterdir()] == [A]


def test_what_has_not_begun_cannot_end(host: FakeHost) -> None:
    with pytest.raises(SlipwayError, match=r"no shipment .* under way"):
        ship.end(host, A)
    ship.begin(host, A, manifest())
    (host.releases.folder / f".{A}.manifest.json").unlink()
    with pytest.raises(SlipwayError, match=r"no shipment .* under way"):
        ship.end(host, A)


def test_an_image_without_a_shell_is_refused(host: FakeHost) -> None:
    ship.begin(host, A, manifest())
    with pytest.raises(SlipwayError, match="no /bin/sh"):
        ship.end(host, A)
    assert not host.releases.path(A).exists()


def test_a_shell_behind_merged_folders_is_found(host: FakeHost) -> None:
    ship.begin(host, A, manifest())
    root = host.releases.partial(A)
    (root / "usr/bin").mkdir(parents=True)
    (root / "usr/bin/sh").symlink_to("dash")
    (root / "bin").symlink_to("usr/bin")
    ship.end(host, A)
    assert host.releases.path(A).exists()


EVERY_PART = sorted({str(part) for point in tree.MOUNT_POINTS for part in (Path(point), *Path(point).parents)} - {"."})


@pytest.mark.parametrize("kind", ["symbolic link", "file"])
@pytest.mark.parametrize("point", EVERY_PART)
def test_a_link_or_file_where_systemd_mounts_is_refused(host: FakeHost, point: str, kind: str) -> None:
    ship.begin(host, A, manifest())
    root = arrive(host, A)
    outside = host.units.parent / "outside"
    outside.mkdir()
    (root / point).parent.mkdir(parents=True, exist_ok=True)
    if kind == "file":
        (root / point).write_text("x")
    else:
        (root / point).symlink_to(outside)
    with pytest.raises(SlipwayError, match=f"/{point} is a {kind} in the image"):
        ship.end(host, A)
    assert list(outside.iterdir()) == []
    assert not host.releases.path(A).exists()


def test_the_units_check_the_same_mount_points(host: FakeHost) -> None:
    del host
    sandbox = (Path(ship.__file__).parents[2] / "systemd/sandbox.conf").read_text()
    checked = {
        line.split("/%i/", 1)[1]
        for line in sandbox.splitlines()
        if line.startswith("AssertPathIsSymbolicLink=!/srv/app/sealed/%i/")
    }
    assert checked == {*EVERY_PART, ".slipway"}


@pytest.mark.parametrize("name", ["resolv.conf", "hosts"])
def test_an_images_own_name_resolution_is_replaced_where_it_is_a_link(host: FakeHost, name: str) -> None:
    ship.begin(host, A, manifest())
    root = arrive(host, A)
    outside = host.units.parent / "outside"
    outside.write_text("host's")
    (root / "etc").mkdir()
    (root / "etc" / name).symlink_to(outside)
    ship.end(host, A)
    assert outside.read_text() == "host's"


@pytest.mark.parametrize("kind", ["link", "file", "folder"])
def test_an_images_own_slipway_folder_is_replaced(host: FakeHost, kind: str) -> None:
    ship.begin(host, A, manifest())
    root = arrive(host, A)
    outside = host.units.parent / "outside"
    outside.mkdir()
    if kind == "link":
        (root / ".slipway").symlink_to(outside)
    elif kind == "file":
        (root / ".slipway").write_text("x")
    else:
        (root / ".slipway").mkdir()
        (root / ".slipway/release").write_text("#!/bin/sh\nrm -rf /")
    ship.end(host, A)
    assert list(outside.iterdir()) == []
    assert sorted(path.name for path in (host.releases.path(A) / ".slipway").iterdir()) == [
        "env",
        "ports",
        "process",
        "web",
    ]


def test_an_end_that_was_killed_can_be_repeated_from_the_start(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_given: object) -> None:
        raise KeyboardInterrupt

    ship.begin(host, A, manifest())
    arrive(host, A)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", killed)
        with pytest.raises(KeyboardInterrupt):
            ship.end(host, A)
    assert host.releases.all() == []
    ship_whole(host, A)
    assert [record.release for record in host.releases.all()] == [A]


def test_a_writable_folder_gets_a_mount_point_and_its_files_aside(host: FakeHost) -> None:
    ship.begin(host, A, manifest(writable=["/app/data", "/srv/uploads"]))
    partial = arrive(host, A)
    (partial / "app/data/sub").mkdir(parents=True)
    (partial / "app/data/sub/seed.db").write_text("seed")
    (partial / "app/data/link").symlink_to("sub/seed.db")
    ship.end(host, A)
    tree = host.releases.path(A)
    assert (tree / "srv/uploads").is_dir(), "PID 1 would make it, as root"
    aside = tree / ".slipway/writable/app/data"
    assert (aside / "sub/seed.db").samefile(tree / "app/data/sub/seed.db")
    assert (aside / "link").is_symlink()


def test_a_writable_folder_that_is_a_link_is_refused(host: FakeHost) -> None:
    ship.begin(host, A, manifest(writable=["/app/data"]))
    partial = arrive(host, A)
    (partial / "app").mkdir(exist_ok=True)
    (partial / "app/data").symlink_to("/etc")
    with pytest.raises(SlipwayError, match="/app/data is a symbolic link in the image"):
        ship.end(host, A)


@pytest.mark.parametrize(
    ("paths", "says"),
    [
        (["app/data"], "absolute path"),
        (["/app/../etc"], "absolute path"),
        (["/app/da ta"], "absolute path"),
        (["/app/data:/etc"], "absolute path"),
        (["/app/%i"], "absolute path"),
        (["/app/data/"], "absolute path"),
        (["/"], "absolute path"),
        (["/etc/app"], "/etc is not the app's"),
        (["/var"], "/var/lib/app is not the app's"),
        (["/tmp"], "/tmp is not the app's"),
        (["/.slipway/x"], "/.slipway is not the app's"),
        (["/app", "/app/data"], "lies in /app"),
        (["/app", "/app"], "twice"),
    ],
)
def test_a_writable_folder_that_cannot_be_mounted_on_is_refused(paths: list[str], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        manifest(writable=paths)


@pytest.mark.parametrize(
    "path", ["/app/data", "/srv/x-1/.cache", "/opt/application", "/var/cache/app", "/var/lib/application"]
)
def test_a_folder_of_the_app_may_be_writable(path: str) -> None:
    assert manifest(writable=[path]).writable == [path]


def test_a_live_release_whose_scripts_are_others_is_shipped_again(live: FakeHost) -> None:
    for name, text in (("web", "#!/bin/sh\nevil\n"), ("extra", "")):
        script = live.releases.path(A) / ".slipway" / name
        before = script.read_text() if script.exists() else None
        script.write_text(text)
        assert not ship.begin(live, B, manifest())["unchanged"]
        script.unlink() if before is None else script.write_text(before)
        assert ship.begin(live, B, manifest())["unchanged"]


def test_a_controller_that_found_a_difference_ships_again(live: FakeHost) -> None:
    assert not ship.begin(live, B, manifest(), force=True)["unchanged"]


def test_a_comparison_ignores_what_the_host_adds_and_nothing_else(live: FakeHost, tmp_path: Path) -> None:
    """rsync, as the controller calls it, from the image's tree to the sealed release."""
    image = tmp_path / "image"
    (image / "bin").mkdir(parents=True)
    (image / "bin/sh").symlink_to("/bin/dash")
    sealed = live.releases.path(A)
    os.utime(image / "bin/sh", ns=(0, (sealed / "bin/sh").lstat().st_mtime_ns), follow_symlinks=False)
    filters = [f"--filter={rule}" for rule in ship.begin(live, B, manifest())["filters"]]  # type: ignore[attr-defined]
    options = ["--recursive", "--links", "--perms", "--times", "--checksum", "--hard-links", "--dry-run", "--delete"]
    command = ["rsync", *options, "--omit-dir-times", "--out-format=%i %n", *filters, f"{image}/", f"{sealed}/"]

    def differences() -> list[str]:
        shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
        return [line.split()[-1] for line in shown]

    (sealed / "tmp").chmod(0o755)
    assert differences() == []
    (sealed / "usr/lib").mkdir(parents=True)
    (sealed / "usr/lib/evil.pth").write_text("")
    (sealed / "etc/ld.so.preload").write_text("")
    (sealed / "bin/sh").unlink()
    (sealed / "bin/sh").symlink_to("evil")
    found = differences()
    assert {"usr/lib/evil.pth", "bin/sh"} <= set(found)
