"""A cluster of one node for all tests of this folder, with the app deployed."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from labs.command import ROOT, progress
from tests.kubernetes.cluster import FIRST_SECONDS, Cluster
from tests.kubernetes.node import Node
from tests.platforms.waiting import within

FOLDER = ROOT / ".cache/kubernetes"


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The cluster; nothing of the node is left afterwards."""
    subprocess.run([ROOT / "tools/go-tool", "etcd", "kubernetes"], check=True)
    node = Node(FOLDER)
    try:
        node.start()
        progress("kubernetes", "the API answers")
        cluster = Cluster(node, tmp_path_factory.mktemp("kubernetes"))
        cluster.load_images()
        cluster.prepare()
        progress("kubernetes", "the database and the broker run")
        assert cluster.deploy_by_hand("first").returncode == 0
        cluster.allow_deployer()
        within(FIRST_SECONDS, lambda: len(cluster.pods()) == 2)
        progress("kubernetes", "the app is deployed")
        yield cluster
    finally:
        node.remove()
    assert not remains(), remains()


def remains() -> list[str]:
    """List processes, mounts, cgroups and interfaces of the node."""
    lines = [line for line in Path("/proc/mounts").read_text().splitlines() if str(FOLDER) in line]
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = process.read_text().replace("\0", " ")
        except OSError:  # it has ended
            continue
        if str(FOLDER) in command:
            lines.append(command)
    return lines + [str(path) for path in [*Node.left(), FOLDER, Path("/sys/class/net/kube0")] if path.exists()]
