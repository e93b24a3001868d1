"""A cluster of one node for all tests of this folder, with the app deployed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kubernetes.cluster import FOLDER, Cluster, running
from tests.kubernetes.node import Node


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The cluster; nothing of the node is left afterwards."""
    with running(tmp_path_factory.mktemp("kubernetes")) as cluster:
        yield cluster
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
