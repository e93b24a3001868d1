"""The contract, as far as an image shows it, and its file system on the controller."""

import io
import json
import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest
from ansible.module_utils.slipway_image import (
    Docker,
    Image,
    ImageError,
    cached_tree,
    check_tree,
    prune,
    read_image,
    read_procfile,
    resolve,
    unpack,
)

COMMIT = "3f2a9c1" + "0" * 33


def inspected(**config: Any) -> dict[str, Any]:
    return {
        "Id": "sha256:" + "ab" * 32,
        "Os": "linux",
        "Architecture": "amd64",
        "Config": {"Cmd": ["serve"], "WorkingDir": "/app", **config},
    }


class FakeDocker(Docker):
    """An export that is made of what a test puts in."""

    def __init__(self, *members: tuple[tarfile.TarInfo, bytes]) -> None:
        super().__init__("docker")
        self.members = members

    @contextmanager
    def exported(self, image_id: str) -> Iterator[IO[bytes]]:
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w") as archive:
            for member, content in self.members:
                archive.addfile(member, io.BytesIO(content))
        stream.seek(0)
        yield stream


def member(
    name: str, kind: bytes = tarfile.REGTYPE, content: bytes = b"", **attributes: Any
) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.size, info.mtime = kind, len(content), 1_700_000_000
    info.mode = 0o755 if kind == tarfile.DIRTYPE else 0o644
    for key, value in attributes.items():
        setattr(info, key, value)
    return info, content


def test_what_it_says_is_taken_over() -> None:
    image = read_image(
        "app:1",
        inspected(
            Entrypoint=["/init"], Env=["PATH=/bin", "A=b=c"], Labels={"org.opencontainers.image.revision": COMMIT}
        ),
    )
    assert (image.entrypoint, image.cmd, image.workdir) == (["/init"], ["serve"], "/app")
    assert image.env == {"PATH": "/bin", "A": "b=c"}
    assert (image.commit, image.short) == (COMMIT, "3f2a9c1")


@pytest.mark.parametrize("label", [None, "", "unknown", COMMIT + "-dirty", "3f2a9c1"])
def test_without_a_whole_commit_its_own_id_names_it(label: str | None) -> None:
    image = read_image("app:1", inspected(Labels={"org.opencontainers.image.revision": label}))
    assert (image.commit, image.short) == (None, "abababa")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"Config": {}}, "has no command"),
        ({"Config": {"Cmd": [], "Entrypoint": None}}, "has no command"),
        ({"Architecture": "z80"}, "linux/z80"),
        ({"Os": "windows"}, "windows/amd64"),
        ({"Config": {"Cmd": ["x"], "WorkingDir": "app"}}, "WORKDIR 'app'"),
    ],
)
def test_a_broken_line_of_the_contract_is_named(change: dict[str, Any], expected: str) -> None:
    with pytest.raises(ImageError) as error:
        read_image("app:1", inspected() | change)
    assert expected in str(error.value)
    assert "app:1" in str(error.value)


def test_what_is_not_used_is_said() -> None:
    image = read_image(
        "app:1",
        inspected(
            User="app", Volumes={"/data": {}}, ExposedPorts={"80/tcp": {}}, Healthcheck={"Test": []}, Env=["HOME=/root"]
        ),
    )
    assert [note.split(" is not used")[0] for note in image.notes] == [
        "ENV HOME",
        "USER",
        "VOLUME",
        "EXPOSE",
        "HEALTHCHECK",
    ]
    assert "HOME" not in image.env


@pytest.fixture
def image() -> Image:
    return read_image("app:1", inspected())


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("usr/bin", "app", "etc"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "bin").symlink_to("usr/bin")
    (tmp_path / "usr/bin/dash").touch()
    (tmp_path / "usr/bin/sh").symlink_to("/usr/bin/dash")
    return tmp_path


def test_a_tree_that_keeps_the_contract(image: Image, tree: Path) -> None:
    check_tree(image, tree)


@pytest.mark.parametrize(
    ("breaks", "expected"),
    [
        (lambda tree: (tree / "usr/bin/sh").unlink(), "has no /bin/sh"),
        (lambda tree: (tree / ".slipway").mkdir(), "has a /.slipway"),
        (lambda tree: (tree / "run").symlink_to("/var/run"), "/run is a symbolic link"),
        (lambda tree: (tree / "tmp").touch(), "/tmp is a file"),
        (lambda tree: (tree / "app").rmdir(), "WORKDIR /app, but no such directory"),
    ],
)
def test_a_tree_that_does_not(image: Image, tree: Path, breaks: Any, expected: str) -> None:
    breaks(tree)
    with pytest.raises(ImageError, match=expected):
        check_tree(image, tree)


@pytest.mark.parametrize(
    "change",
    [{"WorkingDir": "/home/shop"}, {"WorkingDir": "/root"}, {"Cmd": ["/run/serve"]}, {"Entrypoint": ["/tmp/x"]}],
)
def test_what_the_sandbox_hides_cannot_be_used(tree: Path, change: dict[str, Any]) -> None:
    with pytest.raises(ImageError, match=r"the sandbox hides the image's /(home|root|run|tmp)\. Put it elsewhere"):
        check_tree(read_image("app:1", inspected(**change)), tree)


def test_a_name_that_only_begins_like_a_hidden_one(tree: Path) -> None:
    (tree / "homes").mkdir()
    check_tree(read_image("app:1", inspected(WorkingDir="/homes")), tree)


def test_links_are_followed_inside_the_tree_only(tree: Path) -> None:
    (tree / "out").symlink_to("../../../etc")
    (tree / "loop").symlink_to("loop")
    assert resolve(tree, "/bin/sh") == tree / "usr/bin/dash"
    assert resolve(tree, "/out") == tree / "etc"
    assert resolve(tree, "/out/passwd") is None
    assert resolve(tree, "/loop") is None


def test_the_procfile(image: Image, tree: Path) -> None:
    assert read_procfile(image, tree) == {}
    (tree / "app/Procfile").write_text("# processes\nrelease: migrate --all\n\nworker: run a:b\nweb: not used\n")
    assert read_procfile(image, tree) == {"release": "migrate --all", "worker": "run a:b"}


@pytest.mark.parametrize("text", ["release migrate\n", "a: x\na: y\n", "a:\n", "../a: x\n"])
def test_a_line_of_the_procfile_that_is_none(image: Image, tree: Path, text: str) -> None:
    (tree / "app/Procfile").write_text(text)
    with pytest.raises(ImageError, match="/app/Procfile of 'app:1', line"):
        read_procfile(image, tree)


def test_unpacking(image: Image, tmp_path: Path) -> None:
    docker = FakeDocker(
        member(".dockerenv"),
        member("etc", tarfile.DIRTYPE),
        member("etc/hosts", content=b"docker's"),
        member("etc/shadow", content=b"x", mode=0),
        member("dev", tarfile.DIRTYPE),
        member("dev/console", tarfile.CHRTYPE),
        member("opt", tarfile.DIRTYPE, mode=0o500),
        member("opt/device", tarfile.BLKTYPE),
        member("opt/queue", tarfile.FIFOTYPE),
        member("opt/su", content=b"12345", mode=0o4775),
        member("opt/link", tarfile.SYMTYPE, linkname="/etc/shadow"),
        member("opt/same", tarfile.LNKTYPE, linkname="opt/su"),
    )
    tree = unpack(docker, tmp_path, image)
    found = {str(path.relative_to(tree.path)) for path in tree.path.rglob("*")}
    assert found == {"etc", "etc/shadow", "dev", "opt", "opt/su", "opt/link", "opt/same"}
    assert (tree.path / "opt/su").stat().st_mode & 0o7777 == 0o755
    assert (tree.path / "opt/su").stat().st_ino == (tree.path / "opt/same").stat().st_ino
    assert (tree.path / "opt/link").readlink() == Path("/etc/shadow")
    assert (tree.path / "opt").stat().st_mtime == 1_700_000_000
    assert os.access(tree.path / "etc/shadow", os.R_OK)
    assert (tree.bytes, tree.inodes) == (6, 6)
    assert cached_tree(tmp_path, image) == tree


@pytest.mark.parametrize(
    "members",
    [
        [member("../out", content=b"x")],
        [member("a", tarfile.SYMTYPE, linkname="/tmp"), member("a/out", content=b"x")],
        [member("a", tarfile.LNKTYPE, linkname="../../out")],
    ],
)
def test_nothing_is_unpacked_outside(image: Image, tmp_path: Path, members: Any) -> None:
    with pytest.raises(ImageError, match="outside its folder"):
        unpack(FakeDocker(*members), tmp_path, image)
    assert cached_tree(tmp_path, image) is None
    assert list(tmp_path.iterdir()) == []


def test_two_at_once(image: Image, tmp_path: Path) -> None:
    class Meanwhile(FakeDocker):
        @contextmanager
        def exported(self, image_id: str) -> Iterator[IO[bytes]]:
            unpack(FakeDocker(member("a", content=b"1")), tmp_path, image)
            with super().exported(image_id) as stream:
                yield stream

    tree = unpack(Meanwhile(member("a", content=b"1")), tmp_path, image)
    assert (tree.path / "a").read_bytes() == b"1"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_cache_without_its_last_file_is_none(image: Image, tmp_path: Path) -> None:
    tree = unpack(FakeDocker(member("a")), tmp_path, image)
    (tree.path.parent / "tree.json").write_text("{")
    assert cached_tree(tmp_path, image) is None


def test_pruning(tmp_path: Path) -> None:
    for age, name in enumerate(["a", "b", "c", "old", "older", ".partial-old"]):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (10_000 - 3000 * age, 10_000 - 3000 * age))
    (tmp_path / ".partial-new").mkdir()
    os.utime(tmp_path / ".partial-new", (9_999, 9_999))
    prune(tmp_path, now=10_000)
    assert not {entry.name for entry in tmp_path.iterdir()} & {"older", ".partial-old"}
    prune(tmp_path, now=10_000)
    assert {entry.name for entry in tmp_path.iterdir()} == {"a", "b", "c", ".partial-new"}


def test_docker_that_is_not_there() -> None:
    with pytest.raises(ImageError, match="release_docker"):
        Docker("/no/such/docker").inspect("app:1", pull=False)


def answering(tmp_path: Path, *cases: tuple[str, int, str, str]) -> Docker:
    """A docker that answers to a first argument with a status, an output and an error."""
    script = ["#!/bin/sh", 'case "$1" in']
    for word, status, out, err in cases:
        script.append(f"{word}) printf '%s' '{out}'; printf '%s' '{err}' >&2; exit {status};;")
    script += ["esac"]
    file = tmp_path / "docker"
    file.write_text("\n".join(script))
    file.chmod(0o755)
    return Docker(str(file))


def test_an_image_that_is_nowhere(tmp_path: Path) -> None:
    docker = answering(tmp_path, ("image", 1, "", "Error: No such image: app:9"), ("pull", 1, "", "manifest unknown"))
    with pytest.raises(ImageError, match=r"'app:9' is not on this machine and cannot be pulled: manifest unknown"):
        docker.inspect("app:9", pull=True)
    with pytest.raises(ImageError, match="docker pull app:9"):
        docker.inspect("app:9", pull=False)


def test_a_daemon_that_does_not_answer(tmp_path: Path) -> None:
    docker = answering(tmp_path, ("image", 1, "", "Cannot connect to the Docker daemon"))
    with pytest.raises(ImageError, match="docker does not answer: Cannot connect"):
        docker.inspect("app:1", pull=True)


def test_an_export_that_breaks_off(tmp_path: Path, image: Image) -> None:
    docker = answering(tmp_path, ("create", 0, "container", ""), ("export", 1, "", ""), ("rm", 0, "", ""))
    with pytest.raises((ImageError, tarfile.ReadError)):
        unpack(docker, tmp_path / "cache", image)
    assert cached_tree(tmp_path / "cache", image) is None


def test_inspecting(tmp_path: Path) -> None:
    docker = answering(tmp_path, ("image", 0, json.dumps([inspected()]), ""))
    assert docker.inspect("app:1", pull=False)["Architecture"] == "amd64"
