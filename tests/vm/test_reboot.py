"""A reboot under load: the host serves again by itself, and once it does, no request fails."""

import time
from collections.abc import Callable
from pathlib import Path

from labs.command import progress
from tests.vm.agreement import assert_all_agree, until_serving
from tests.vm.load import answered, clients, failures
from tests.vm.machine import Machine
from tests.vm.site import Site

KERNEL = "Linux version"
"""How the console's messages of a boot begin."""


def test_a_reboot_under_load(start: Callable[..., Machine], site: Site, tmp_path: Path) -> None:
    machine = start()
    release = assert_all_agree(site)
    boots = machine.console().count(KERNEL)
    with clients(site, tmp_path / "load") as load:
        before = time.time()
        machine.attempt("sudo systemctl reboot", user="admin")
        machine.wait(lambda: machine.console().count(KERNEL) > boots)
        booted = time.time()
        assert until_serving(site) == release
        assert assert_all_agree(site) == release
        time.sleep(20)
    serving = min(each["t"] for each in answered(load, booted))
    progress(
        "vm", f"reboot: {booted - before:.0f} s to the kernel, {serving - booted:.0f} s from there to the first answer"
    )
    assert [each for each in failures(load) if each["t"] < before] == []
    assert failures(load, serving) == []
    assert len(answered(load, serving)) > 50
