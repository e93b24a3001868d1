"""A swarm of one node for all tests of this folder, with the app deployed."""

from collections.abc import Iterator

import pytest

from tests.swarm.swarm import Swarm, running


@pytest.fixture(scope="session")
def swarm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swarm]:
    """The swarm; nothing of it is left afterwards."""
    with running(tmp_path_factory.mktemp("swarm")) as swarm:
        yield swarm
    assert not swarm.engine.remains(), swarm.engine.remains()
