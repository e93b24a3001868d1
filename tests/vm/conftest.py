"""A VM of this checkout: bare, then provisioned once by the README's own steps, and each test on a copy of that disk."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from labs.command import ROOT, progress
from slipway.controller.local.files import describe
from slipway.controller.local.ports import free_ports
from tests.vm.disk import build
from tests.vm.machine import Machine, copy
from tests.vm.site import Site

FOLDER = ROOT / ".cache/hosts/vm"
AGAIN = "SLIPWAY_VM_AGAIN"
"""Set while one works on these tests: the disk that an earlier run provisioned is used again."""

CLOSED = 9100
"""A port that leads to the VM as the others do, and that its firewall keeps closed."""


@pytest.fixture(scope="session")
def bare() -> Path:
    """The disk of a bare VM."""
    return build(FOLDER)


@pytest.fixture(scope="session")
def machine(bare: Path) -> Iterator[Machine]:
    """A VM that is off."""
    free = free_ports(23000)
    ports = {inside: next(free) for inside in (22, 80, 443, CLOSED)}
    describe(FOLDER, ports, ["app"])
    machine = Machine(FOLDER, copy(bare, FOLDER / "disk.raw"), ports)
    try:
        yield machine
    finally:
        machine.cut()


@pytest.fixture(scope="session")
def site(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The app's repository, with the values of the VM."""
    return Site.begin(tmp_path_factory.mktemp("shop"), machine)


@pytest.fixture(scope="session")
def provisioned(machine: Machine, bare: Path, site: Site) -> Path:
    """The disk after `slipway provision`, which deploys, too: the VM is off."""
    disk = FOLDER / "provisioned.raw"
    if disk.exists() and os.environ.get(AGAIN):
        return disk
    machine.disk = copy(bare, disk.with_suffix(".partial"))
    machine.flushes = False
    progress("vm", f"boot of a bare machine: {machine.start():.0f} s")
    began = time.monotonic()
    site.slipway("provision", "production")
    progress("vm", f"provision, with the first deploy: {time.monotonic() - began:.0f} s")
    machine.shut_down()
    return machine.disk.rename(disk)


@pytest.fixture(scope="module")
def start(machine: Machine, provisioned: Path) -> Iterator[Callable[..., Machine]]:
    """Start a copy of the provisioned VM in place of the running one, `start(memory_mb=512)`; cut off at the end."""

    def starts(memory_mb: int = 1024, cores: int = 1, tap: str | None = None) -> Machine:
        machine.cut()
        machine.disk = copy(provisioned, FOLDER / "disk.raw")
        machine.flushes, machine.memory_mb, machine.cores, machine.tap = True, memory_mb, cores, tap
        progress("vm", f"boot with {memory_mb} MB: {machine.start():.0f} s")
        return machine

    yield starts
    machine.cut()
