"""From an empty machine to a site, by the README's own steps; nothing is left to provision; a deploy and a rollback."""

import re
import time
from collections.abc import Callable
from pathlib import Path

from labs.command import progress
from tests.vm.agreement import assert_all_agree
from tests.vm.load import answered, clients, failures
from tests.vm.machine import Machine
from tests.vm.site import Site


def test_provision_again_changes_nothing(start: Callable[..., Machine], site: Site) -> None:
    start()
    release = assert_all_agree(site)
    began = time.monotonic()
    printed = site.slipway("provision", "production", "--", "-v")
    progress("vm", f"provision again: {time.monotonic() - began:.0f} s")
    assert re.findall(r"^vm\s.*changed=(\d+).*failed=(\d+)", printed, re.MULTILINE) == [("0", "0")], printed[-6000:]
    assert assert_all_agree(site) == release


def test_it_takes_a_deploy_and_a_rollback(site: Site, tmp_path: Path) -> None:
    first = assert_all_agree(site)
    with clients(site, tmp_path / "load") as load:
        began = time.monotonic()
        site.deploy()
        progress("vm", f"deploy: {time.monotonic() - began:.0f} s")
        second = assert_all_agree(site)
        assert second != first
        began = time.monotonic()
        site.slipway("rollback", "production")
        progress("vm", f"rollback: {time.monotonic() - began:.0f} s")
        assert assert_all_agree(site) == first
    progress("vm", f"{len(failures(load))} of {len(load.lines('requests.jsonl'))} requests failed")
    assert failures(load) == []
    assert len(answered(load)) > 100
