"""The power is cut in the midst of a deploy: afterwards traffic, status and audit agree, and the next deploy works.

`tests/engine/test_power_cut.py` cuts at every moment, on a disk that it simulates; here are a kernel, systemd and sshd.
"""

import os
import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from labs.command import progress
from tests.vm.agreement import assert_all_agree, until_serving
from tests.vm.machine import Machine
from tests.vm.site import Site

WATCH = """
import json, sys, time
from pathlib import Path

folder, wanted = Path("/srv/app/releases"), sys.argv[1]
before = {path.name for path in folder.iterdir()}
print("watches", flush=True)
changed = 0
while True:
    # A record is replaced. Looking at this alone leaves an emulated core to the deploy.
    while changed == (changed := folder.stat().st_mtime_ns):
        time.sleep(0.02)
    for name in sorted({path.name for path in folder.iterdir()} - before):
        if name.endswith(".partial"):
            seen = "arrives"
        elif not name.startswith(".") and name.endswith(".json"):
            seen = json.loads((folder / name).read_text())["phase"]
        else:
            continue
        if seen == wanted:
            print(name.lstrip(".").partition(".")[0], flush=True)
            sys.exit()
"""
"""Prints the name of the new release as soon as it is in a phase."""
ARRIVES_SECONDS = 3
"""After the first file; all of them take longer."""
ENDS_SECONDS = 300
"""For a deploy to notice that its host was away."""


@dataclass(frozen=True)
class Moment:
    """When the power is cut."""

    phase: str
    live: frozenset[str]
    """What may be live afterwards."""


OLD, NEW, EITHER = (frozenset(which.split()) for which in ("old", "new", "old new"))
MOMENTS = [
    Moment("arrives", OLD),
    Moment("migrate", OLD),
    Moment("watch-canary", OLD),
    Moment("cutover", OLD),
    Moment("keep", EITHER),
    Moment("retire", NEW),
]


@pytest.fixture(scope="module")
def machine_on(start: Callable[..., Machine]) -> Machine:
    """A VM whose power is cut again and again."""
    return start()


@pytest.mark.parametrize("moment", MOMENTS, ids=lambda moment: moment.phase)
def test_a_power_cut_in(moment: Moment, machine_on: Machine, site: Site) -> None:
    old = assert_all_agree(site)
    if moment.phase == "arrives":
        (site.repository / "blob").write_bytes(os.urandom(200 * 1024 * 1024))
    site.setting(SERIAL=str(time.time_ns()), MIGRATION_SECONDS="20" if moment.phase == "migrate" else "0")
    with machine_on.begin(f"sudo python3 -c {shlex.quote(WATCH)} {moment.phase}", user="admin") as watch:
        assert watch.stdout
        assert watch.stdout.readline() == "watches\n"
        deploy = site.begin_slipway("deploy", "production")
        try:
            new = watch.stdout.readline().strip()
            time.sleep(ARRIVES_SECONDS if moment.phase == "arrives" else 0)
        finally:
            machine_on.cut()
            watch.kill()
    assert new, f"{moment.phase} was not seen\n{deploy.communicate()[0][-3000:]}"
    ended_before = deploy.poll() is not None
    live = again(site, moment.phase)
    assert live in {{"old": old, "new": new}[which] for which in moment.live}, (old, new, live)
    printed, _ = deploy.communicate(timeout=ENDS_SECONDS)
    # What was told is so.
    assert deploy.returncode != 0 or live == new, printed[-3000:]
    assert deploy.returncode == 0 or not ended_before, printed[-3000:]
    (site.repository / "blob").write_bytes(b"")


def test_a_power_cut_right_after_a_deploy_was_told(machine_on: Machine, site: Site) -> None:
    old = assert_all_agree(site)
    site.deploy()
    machine_on.cut()
    live = again(site, "the deploy was told")
    assert live != old
    assert site.status()["rollback_target"] == old


def test_deploys_work_after_all_these_cuts(machine_on: Machine, site: Site) -> None:
    old = assert_all_agree(site)
    site.deploy()
    assert assert_all_agree(site) != old


def again(site: Site, moment: str) -> str:
    """Switch the VM on again. Returns the release that serves; all agree on it."""
    began = time.monotonic()
    site.machine.start()
    until_serving(site)
    progress("vm", f"power cut ({moment}): serves after {time.monotonic() - began:.0f} s")
    release = assert_all_agree(site)
    # What was still arriving is not promised.
    empty = site.machine.shell("find /srv/app/releases /etc/slipway -type f -size 0 -not -path '*.partial/*'")
    assert empty == "", f"files that lost their content: {empty}"
    return release
