"""From an empty machine to a site, by the README's own steps."""

import time
from collections.abc import Callable

from labs.command import progress
from tests.vm.agreement import assert_all_agree
from tests.vm.machine import Machine
from tests.vm.site import Site


def test_an_empty_machine_serves_after_provision_and_takes_a_deploy(start: Callable[..., Machine], site: Site) -> None:
    start()
    first = assert_all_agree(site)
    site.setting(GREETING="changed")
    began = time.monotonic()
    site.slipway("deploy", "production")
    progress("vm", f"deploy: {time.monotonic() - began:.0f} s")
    assert assert_all_agree(site) != first
