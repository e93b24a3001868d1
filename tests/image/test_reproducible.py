"""Two builds of one tree are the same files: paths, bytes, modes, owners and times."""

import hashlib
import json
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import IO, cast

import pytest

from tests.image.conftest import CA, DOCKER, build, docker
from tools.checkout import APP_IMAGES, ROOT

# What the container engine itself puts into every container when it is created, and the times of the folders around.
ENGINES = {".dockerenv", "dev", "proc", "sys", "etc/hosts", "etc/hostname", "etc/resolv.conf", "etc/mtab"}
TOUCHED = {".", "", "etc"}

Files = dict[str, tuple[object, ...]]


def export(tag: str) -> Files:
    """Read the whole file system of an image, as a deploy ships it."""
    container = docker("create", tag)
    try:
        with (
            subprocess.Popen([DOCKER, "export", container], stdout=subprocess.PIPE) as process,
            tarfile.open(fileobj=cast("IO[bytes]", process.stdout), mode="r|") as archive,
        ):
            return {
                entry.name: facts(archive, entry)
                for entry in archive
                if entry.name not in ENGINES and entry.name.split("/")[0] not in ENGINES
            }
    finally:
        docker("rm", container)


def facts(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> tuple[object, ...]:
    data = archive.extractfile(entry) if entry.isreg() else None
    time = None if entry.name in TOUCHED else entry.mtime
    digest = hashlib.file_digest(data, "sha256").hexdigest() if data else None  # type: ignore[arg-type]
    return entry.type, entry.mode, entry.uid, entry.gid, entry.size, time, entry.linkname, digest


def layers(tag: str) -> list[str]:
    return cast("list[str]", json.loads(docker("inspect", "--format={{json .RootFS.Layers}}", tag)))


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the tree, so that a test can change it; with other times and a stricter umask than the original."""
    copy = tmp_path_factory.mktemp("tree")
    for name in ("app", "server"):
        shutil.copytree(
            ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"), copy_function=shutil.copy
        )
    for name in ("Dockerfile", ".dockerignore", "Procfile"):
        shutil.copy(ROOT / name, copy / name)
    for path in copy.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
    return copy


def test_two_builds_are_the_same_files(image: str, tree: Path) -> None:
    again = build(f"{APP_IMAGES}:again", "--no-cache", context=tree)
    one, two = export(image), export(again)
    different = {
        name: (one.get(name), two.get(name)) for name in one.keys() | two.keys() if one.get(name) != two.get(name)
    }
    assert different == {}
    assert len(one) > 5000


def test_a_change_of_the_code_changes_one_small_layer(tree: Path) -> None:
    # A time of its own, so that the cache has one candidate for each layer: the test above built all of them twice, and
    # what records a removed file in a layer has the time of the build, though no file of the image has.
    mine = "--build-arg=SOURCE_DATE_EPOCH=1767225601"
    before = layers(build(f"{APP_IMAGES}:before", mine, context=tree))
    with (tree / "app" / "main.py").open("a") as code:
        code.write("# changed\n")
    after = layers(build(f"{APP_IMAGES}:after", mine, context=tree))
    assert len(before) == len(after)
    assert sum(one != two for one, two in zip(before, after, strict=True)) == 1
    one, two = export(f"{APP_IMAGES}:before"), export(f"{APP_IMAGES}:after")
    changed = {name for name in one.keys() | two.keys() if one.get(name) != two.get(name)}
    assert {name.rsplit("/", 1)[-1].split(".")[0] for name in changed} == {"main"}


def test_the_builds_ca_is_not_in_the_image(image: str) -> None:
    """The distribution's own bundle is; what the machine that built it trusts in addition is not."""
    if not CA.exists():
        pytest.skip("no CA bundle was given to the build")
    inside = docker("run", "--rm", image, "cat", "/etc/ssl/certs/ca-certificates.crt")
    system = docker("run", "--rm", "--entrypoint=/bin/sh", image, "-c", "cat /usr/share/ca-certificates/*/*.crt")
    certificates = [part.strip() for part in inside.split("-----BEGIN CERTIFICATE-----")[1:]]
    assert all(part in system for part in certificates)
    assert docker("run", "--rm", "--entrypoint=/bin/sh", image, "-c", "ls /run /usr/local/share/ca-certificates") == (
        "/run:\nlock\n\n/usr/local/share/ca-certificates:"
    )
