"""A VM for all tests of this folder, with the example app and its embedded database."""

from collections.abc import Iterator

import pytest

from labs.images import build_app
from slipway.controller.local.hosts import LocalHosts
from tests.machine import Machine
from tests.move.vm import NAME, Vm
from tests.platforms import images
from tools.checkout import CHECKOUT


@pytest.fixture(scope="session")
def vm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vm]:
    """The VM, provisioned; nothing of it is left afterwards."""
    build_app(images.FIRST)
    folder = tmp_path_factory.mktemp("project")
    hosts = LocalHosts(tmp_path_factory.mktemp("hosts"), f"{CHECKOUT}-move")
    made = Vm(folder, Machine(hosts, NAME))
    try:
        made.make(images.FIRST)
        made.type("slipway provision production")
        yield made
    finally:
        hosts.down(NAME)
