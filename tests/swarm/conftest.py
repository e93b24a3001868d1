"""A swarm of one node for all tests of this folder, with the app deployed."""

from collections.abc import Iterator

import pytest

from labs.command import progress
from tests.swarm.engine import Engine
from tests.swarm.swarm import Swarm


@pytest.fixture(scope="session")
def swarm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swarm]:
    """The swarm; nothing of it is left afterwards."""
    folder = tmp_path_factory.mktemp("swarm")
    engine = Engine(folder)
    try:
        engine.start()
        swarm = Swarm(engine, folder)
        swarm.prepare()
        progress("swarm", "the database and the broker run")
        assert swarm.deploy("first").returncode == 0
        progress("swarm", "the app is deployed")
        yield swarm
    finally:
        engine.remove()
    assert not engine.remains(), engine.remains()
