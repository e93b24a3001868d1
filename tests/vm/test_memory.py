"""Memory limits that the kernel enforces: a leak ends the release that leaks and nobody else, and its name is told."""

import time
from collections.abc import Callable
from functools import partial

import pytest

from labs.command import progress
from slipway.engine.crashes import LOOP
from tests.vm.agreement import assert_all_agree, until_serving
from tests.vm.machine import Machine
from tests.vm.site import Site

BYSTANDERS = "systemctl show --property MainPID --value nginx ssh systemd-journald systemd-networkd dbus"
RESTARTS = "systemctl show --property NRestarts --value 'app@*.service'"


@pytest.fixture(scope="module")
def release(start: Callable[..., Machine], site: Site) -> str:
    """The release that serves on a small VM."""
    start(memory_mb=512)
    return assert_all_agree(site)


def test_a_machine_with_512_mb_takes_a_deploy(release: str, site: Site) -> None:
    began = time.monotonic()
    site.deploy()
    assert assert_all_agree(site) != release
    progress("vm", f"deploy on 512 MB: {time.monotonic() - began:.0f} s; {memory(site.machine)}")


@pytest.mark.usefixtures("release")
def test_a_release_that_leaks_is_aborted_and_the_memory_is_named(site: Site) -> None:
    live, before = until_serving(site), site.machine.shell(BYSTANDERS)
    site.setting(LEAKS="1")
    deploy = site.begin_slipway("deploy", "production")
    printed, _ = deploy.communicate()
    assert deploy.returncode != 0, printed[-3000:]
    assert "app_memory_max" in printed, printed[-3000:]
    assert site.machine.shell(BYSTANDERS) == before
    status = site.status()
    assert (status["state"], status["live"]) == ("healthy", live), status
    assert "app_memory_max" in status["releases"][0]["cause"], status["releases"][0]
    assert until_serving(site) == live


@pytest.mark.usefixtures("release")
def test_a_leak_ends_the_app_alone_and_the_status_names_it(site: Site) -> None:
    machine, before = site.machine, site.machine.shell(BYSTANDERS)
    group = machine.shell("systemctl show --property ControlGroup --value 'app@*.service'").strip()
    assert machine.shell(f"cat /sys/fs/cgroup{group}/memory.max") == f"{256 << 20}\n"
    for crash in range(1, LOOP + 1):
        began = time.monotonic()
        assert site.ask("/leak", "POST")[0] == 200
        machine.wait(partial(restarted, machine, crash))
        until_serving(site)
        progress("vm", f"leak {crash}: serves {time.monotonic() - began:.0f} s after it began")
    assert machine.shell(BYSTANDERS) == before
    assert "CONSTRAINT_MEMCG" in machine.shell("journalctl --dmesg --no-pager")
    machine.wait(lambda: site.status()["lock"] is None)
    status = site.status()
    assert status["state"] == "unhealthy", status
    assert "app_memory_max" in status["problem"], status["problem"]


def restarted(machine: Machine, times: int) -> bool:
    """Tell whether the app was restarted after as many crashes since it was started."""
    return sum(int(line) for line in machine.shell(RESTARTS).split()) >= times


def memory(machine: Machine) -> str:
    """What the VM has left, in one line."""
    return " ".join(machine.shell("free -m | grep Mem").split())
