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

from slipway.controller.image.cache import cached_tree, prune, unpack
from slipway.controller.image.check import check_tree, read_procfile, resolve
from slipway.controller.image.command import hidden_notes
from slipway.controller.image.config import read_image, unused
from slipway.controller.image.docker import Docker
from slipway.controller.image.errors import ImageError
from slipway.model.image import Image
from slipway.model.names import FILE_LIST

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


def test_the_facts_of_the_image_are_read() -> None:
    image = read_image(
        "app:1",
        inspected(
            Entrypoint=["/init"], Env=["PATH=/bin", "A=b=c"], Labels={"org.opencontainers.image.revision": COMMIT}
        ),
    )
    assert (image.entrypoint, image.cmd, image.workdir) == (["/init"], ["serve"], "/app")
    assert image.env == {"PATH": "/bin", "A": "b=c"}
    assert (image.commit, image.short) == (COMMIT, "3f2a9c1")


def test_an_image_of_a_tree_with_changes_names_its_commit_and_says_so() -> None:
    image = read_image("app:1", inspected(Labels={"org.opencontainers.image.revision": f"{COMMIT}-dirty"}))
    assert (image.commit, image.short) == (f"{COMMIT}-dirty", "3f2a9c1")


@pytest.mark.parametrize(
    ("config", "ports"),
    [
        ({}, [8000]),
        ({"ExposedPorts": {"9100/tcp": {}, "8000/tcp": {}, "53/udp": {}, "80/tcp": {}}}, [8000, 80, 9100]),
        ({"Env": ["PORT=3000"], "ExposedPorts": {"80/tcp": {}}}, [3000, 80]),
        ({"Env": ["PORT=tcp://10.0.0.1:80"]}, [8000]),
        ({"Cmd": ["fastapi", "run", "app/main.py", "--port", "80"]}, [80]),
        ({"Cmd": ["fastapi", "run", "app/main.py", "--port=80"]}, [80]),
        ({"Cmd": ["/bin/sh", "-c", "exec uvicorn app:app --host 0.0.0.0 --port ${PORT:-5000}"]}, [5000]),
        ({"Cmd": ["/bin/sh", "-c", "uvicorn app:app --port $PORT"]}, [8000]),
        ({"Entrypoint": ["gunicorn"], "Cmd": ["-b", "0.0.0.0:9000", "app:app"]}, [9000]),
        ({"Cmd": ["gunicorn", "--bind=[::]:9000", "app:app"]}, [9000]),
        ({"Cmd": ["gunicorn", "--bind", "unix:/run/app.sock", "app:app"]}, [8000]),
        ({"Cmd": ["gunicorn", "--bind", "127.0.0.1", "-p", "/run/gunicorn.pid", "app:app"]}, [8000]),
        ({"Cmd": ["gunicorn", "-b0.0.0.0:9000", "app:app"]}, [9000]),
        ({"Cmd": ["serve", "--port", "99999"]}, [8000]),
        ({"ExposedPorts": {"80/tcp": {}}, "Cmd": ["start", "--port", "9000"]}, [80, 9000]),
    ],
)
def test_where_an_app_may_listen(config: dict[str, Any], ports: list[int]) -> None:
    assert read_image("app:1", inspected(**config)).ports == ports
    assert read_image("app:1", inspected(**config), port=1).ports == [1]


def test_the_port_of_a_command_that_replaces_the_images_own() -> None:
    image = read_image("app:1", inspected(Cmd=["serve", "--port", "80"]), command="exec serve --port 81")
    assert image.ports == [81]


@pytest.mark.parametrize("label", [None, "", "unknown", COMMIT + "-other", "3f2a9c1"])
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


def test_unused_fields_are_noted() -> None:
    config = inspected(
        User="app", Volumes={"/data": {}}, ExposedPorts={"80/tcp": {}}, Healthcheck={"Test": []}, Env=["HOME=/root"]
    )
    assert [note.split(" is not used")[0] for note in unused(config)] == [
        "ENV HOME",
        "USER",
        "VOLUME",
        "HEALTHCHECK",
    ]
    assert "HOME" not in read_image("app:1", config).env


@pytest.fixture
def image() -> Image:
    return read_image("app:1", inspected())


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("usr/bin", "app", "etc"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "bin").symlink_to("usr/bin")
    (tmp_path / "usr/bin/dash").touch(0o755)
    (tmp_path / "usr/bin/sh").symlink_to("/usr/bin/dash")
    for name in ("serve", "migrate", "run"):
        program(tmp_path, f"usr/bin/{name}")
    return tmp_path


def program(tree: Path, name: str, content: str = "") -> None:
    """A program of the image."""
    (tree / name).parent.mkdir(parents=True, exist_ok=True)
    (tree / name).write_text(content)
    (tree / name).chmod(0o755)


def link(tree: Path, name: str, target: str) -> None:
    (tree / name).parent.mkdir(parents=True, exist_ok=True)
    (tree / name).symlink_to(target)


def uv_python(tree: Path) -> None:
    """As `uv sync` leaves it when it brings an interpreter of its own."""
    program(tree, "root/.local/share/uv/python/cpython-3.13/bin/python3.13")
    link(tree, "opt/venv/bin/python", "/root/.local/share/uv/python/cpython-3.13/bin/python3.13")
    link(tree, "opt/venv/bin/python3", "python")
    program(tree, "opt/venv/bin/uvicorn", "#!/opt/venv/bin/python3\n")


@pytest.mark.parametrize(
    "command",
    [
        ["/opt/venv/bin/uvicorn", "main:app"],
        ["/opt/venv/bin/python3", "-m", "uvicorn"],
        ["/bin/sh", "-c", "exec /opt/venv/bin/uvicorn main:app"],
        ["/bin/sh", "-c", "PORT=1 /opt/venv/bin/uvicorn main:app && true"],
        ["tini", "--", "/opt/venv/bin/uvicorn"],
        ["tini", "-g", "--", "sh", "-c", "/opt/venv/bin/uvicorn"],
        ["tool"],
    ],
)
def test_an_interpreter_that_the_sandbox_hides_is_named(tree: Path, command: list[str]) -> None:
    uv_python(tree)
    program(tree, "usr/bin/tini")
    program(tree, "usr/bin/env")
    program(tree, "usr/bin/tool", "#!/usr/bin/env -S /opt/venv/bin/python3 -u\n")
    with pytest.raises(
        ImageError, match=r"leads to /root/.local/share/uv/.* hides the image's /root\. Put it elsewhere"
    ) as told:
        check_tree(read_image("app:1", inspected(Cmd=command)), tree)
    assert told.value.line == "folders"
    assert "UV_PYTHON_INSTALL_DIR" in str(told.value)


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["hypercorn"], "there is no hypercorn in the image's PATH"),
        (["/opt/none"], "there is no /opt/none in the image"),
        (["bin/none"], "there is no bin/none in the image"),
        (["/bin/sh", "-c", "hypercorn main:app"], "there is no hypercorn in"),
        (["script"], "there is no python9 in the image's PATH"),
        (["windows"], r"ends in \\r, as on Windows"),
        (["plain"], "RUN chmod 755 /usr/bin/plain"),
        (["dangling"], "is a link to /usr/bin/nowhere, which is not there"),
    ],
)
def test_a_command_that_cannot_run_is_refused(tree: Path, command: list[str], says: str) -> None:
    program(tree, "usr/bin/env")
    program(tree, "usr/bin/script", "#!/usr/bin/env python9\n")
    program(tree, "usr/bin/windows", "#!/bin/sh\r\n")
    (tree / "usr/bin/plain").touch(0o644)
    link(tree, "usr/bin/dangling", "nowhere")
    with pytest.raises(ImageError, match=says) as told:
        check_tree(read_image("app:1", inspected(Cmd=command)), tree)
    assert told.value.line == "socket"


@pytest.mark.parametrize(
    "line",
    [
        "set -e; anything",
        "$SERVER main:app",
        "a || b",
        "if true; then x; fi",
        "serve 'unclosed",
        "PORT=8000 exec serve",
    ],
)
def test_a_line_whose_program_cannot_be_told_is_left_to_the_run(tree: Path, line: str) -> None:
    check_tree(read_image("app:1", inspected(Cmd=["/bin/sh", "-c", line])), tree)


def test_a_program_is_found_from_workdir_and_in_the_images_path(tree: Path) -> None:
    program(tree, "app/bin/serve2")
    program(tree, "opt/x/serve3")
    check_tree(read_image("app:1", inspected(Cmd=["bin/serve2"])), tree)
    check_tree(read_image("app:1", inspected(Cmd=["serve3"], Env=["PATH=/opt/x"])), tree)


def test_much_that_is_hidden_is_noted(image: Image, tree: Path) -> None:
    (tree / "root/.cache/huggingface/hub").mkdir(parents=True)
    (tree / "root/.cache/huggingface/hub/model").write_bytes(bytes(3 * 2**20))
    (tree / "home").mkdir()
    (tree / "home/.bashrc").write_bytes(bytes(100))
    assert hidden_notes(tree) == [
        "The image has 3 MB in /root (most in /root/.cache/huggingface), which the sandbox hides: what the app needs of it "
        "belongs below /app or /opt."
    ]


def test_a_process_whose_program_is_not_there_is_named(image: Image, tree: Path) -> None:
    (tree / "app/Procfile").write_text("worker: exec celery -A a worker\n")
    with pytest.raises(ImageError, match=r"'worker' runs celery, and there is no celery in the image's PATH"):
        read_procfile(image, tree)


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


@pytest.mark.parametrize("text", ["release migrate\n", "a: x\na: y\n", "a:\n", "../a: x\n", "-a: x\n", "env: x\n"])
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
    names = {"etc", "etc/shadow", "dev", "opt", "opt/su", "opt/link", "opt/same"}
    assert found == names | {FILE_LIST}
    assert set((tree.path / FILE_LIST).read_text().split("\0")) == names | {""}
    assert (tree.path / "opt/su").stat().st_mode & 0o7777 == 0o755
    assert (tree.path / "opt/su").stat().st_ino == (tree.path / "opt/same").stat().st_ino
    assert (tree.path / "opt/link").readlink() == Path("/etc/shadow")
    assert (tree.path / "opt").stat().st_mtime == 1_700_000_000
    assert os.access(tree.path / "etc/shadow", os.R_OK)
    assert (tree.bytes, tree.inodes) == (6, 6)
    assert cached_tree(tmp_path, image) == tree
    # One of an earlier version has no list.
    (tree.path / FILE_LIST).unlink()
    assert cached_tree(tmp_path, image) is None
    unpack(docker, tmp_path, image)
    assert (tree.path / FILE_LIST).exists()


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


def test_two_unpack_the_same_image_at_once(image: Image, tmp_path: Path) -> None:
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
