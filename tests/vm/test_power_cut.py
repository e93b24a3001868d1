"""The power is cut in the midst of a deploy: afterwards traffic, status and audit agree, and the next deploy works.

That is the next test's: it goes through the phases of this one to its own.
`tests/engine/test_power_cut.py` cuts at every moment, on a disk that it simulates; here are a kernel, systemd and sshd.
"""

import os
import random
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from labs.command import progress
from slipway.engine import deploy
from tests.vm.agreement import agreed_status, assert_all_agree, until_serving
from tests.vm.contents import damaged, digests
from tests.vm.machine import Machine
from tests.vm.moments import SHIPMENT, reach, watching
from tests.vm.site import Site

SEED = int(os.environ.get("SLIPWAY_VM_SEED", time.time_ns() % 10**6))
"""Of the moments at random."""
ARRIVES_SECONDS = 3
"""After the first file; all of them take longer."""
ENDS_SECONDS = 300
"""For a deploy to notice that its host was away."""
RECOVERY_SECONDS, ACTIVATION_SECONDS, DEPLOY_SECONDS = 15, 60, 150
"""About as long they take, emulated."""
WRITES = """
import mmap, os

lossy, kept = (os.open(f"/var/tmp/{name}", os.O_RDWR | os.O_CREAT | flag) for name, flag in (("lossy", os.O_DIRECT), ("kept", 0)))
block = mmap.mmap(-1, 4096)
for number in range(10**6):
    block[:10] = b"%010d" % number
    os.pwrite(lossy, block, 0)
    print("lossy", number, flush=True)
    if number < 20:
        os.fsync(lossy)
        os.pwrite(kept, block[:10], 0)
        os.fsync(kept)
        print("kept", number, flush=True)
"""
"""Writes a number past the kernel's cache to the disk, again and again; the first ones are flushed, and in another file, too."""
ABSENT = {"backup"}
"""Phases that this site does not have."""
ENGINE = [phase.name for phase in (*deploy.UNDOABLE, *deploy.TIDYING) if phase.name not in ABSENT]
STAYS = {"live", "retire", "prune", "done"}
"""Moments from which on the new release is live."""


@dataclass
class Host:
    """A VM whose power is cut again and again, with two releases of which one is live."""

    site: Site
    machine: Machine
    chance: random.Random = field(default_factory=lambda: random.Random(SEED))
    live: str = ""
    releases: list[str] = field(default_factory=list)
    """The newest first."""
    files: dict[str, str] = field(default_factory=dict)
    """What was in them when all was well."""

    @classmethod
    def begin(cls, site: Site, machine: Machine) -> "Host":
        """Have a second release, so that each of the two can become live."""
        progress("vm", f"SLIPWAY_VM_SEED={SEED}")
        host = cls(site, machine)
        host.look()
        if len(host.releases) < 2:
            site.deploy()
            host.look()
        host.files = digests(machine)
        return host

    def look(self) -> None:
        """Assert that all agree on what is live, and remember it."""
        status = agreed_status(self.site)
        self.live, self.releases = status["live"], [each["release"] for each in status["releases"]]

    @property
    def other(self) -> str:
        """The newest release that is not live."""
        return next(release for release in self.releases if release != self.live)

    def cut(self) -> None:
        """Cut the power."""
        self.machine.cut()

    def again(self, moment: str) -> str:
        """Switch the VM on again. Returns the release that serves; all agree on it, and no file lost its content."""
        began = time.monotonic()
        self.machine.start()
        until_serving(self.site)
        serves = time.monotonic() - began
        self.look()
        mended = self.machine.shell(
            "journalctl --boot --unit=recover.service --output=cat --grep='whose engine' || true"
        )
        progress(
            "vm", f"power cut ({moment}): serves after {serves:.0f} s; {' '.join(mended.split()) or 'nothing open'}"
        )
        found = digests(self.machine)
        assert damaged(self.files, found, set(self.releases)) == []
        self.files = found
        # What was still arriving is not promised.
        empty = self.machine.shell("find /srv/app/releases -type f -size 0 -not -path '*.partial/*'")
        assert empty == "", f"files that lost their content: {empty}"
        return self.live


@pytest.fixture(scope="module")
def host(start: Callable[..., Machine], site: Site) -> Host:
    """A VM with two releases. A boot has work for two cores."""
    return Host.begin(site, start(cores=2))


def test_a_cut_loses_what_was_not_flushed(host: Host) -> None:
    """Of the harness: SIGKILL of QEMU alone keeps what QEMU had written."""
    # Else each five seconds the file system's own commit flushes all.
    host.machine.shell("mount -o remount,commit=300 /")
    with watching(host.machine, WRITES) as lines:
        printed = [next(lines) for _ in range(200)]
        host.cut()
        printed += lines
    told = {name: max(int(line.split()[1]) for line in printed if line.startswith(name)) for name in ("lossy", "kept")}
    host.machine.start()
    found = {name: int(host.machine.shell(f"head -c 10 /var/tmp/{name}")) for name in told}
    progress("vm", f"told {told}, after a power cut {found}")
    assert found["kept"] == told["kept"]
    assert found["lossy"] < told["lossy"], "the store loses nothing"


@pytest.mark.parametrize("moment", [*ENGINE, "live", "done"])
def test_a_power_cut_in_the_activation(moment: str, host: Host) -> None:
    old, new = host.live, host.other
    held = ["--hold", "600"] if moment == "hold" else []
    reach(host.machine, new, moment, "activate", *held, new)
    host.cut()
    live = host.again(moment)
    assert live in ({old, new} if moment == "keep" else {new if moment in STAYS else old}), (old, new, live)


@pytest.mark.parametrize("moment", ["start", "cutover", "retire"])
def test_a_power_cut_in_a_rollback(moment: str, host: Host) -> None:
    old, new = host.live, host.site.status()["rollback_target"]
    reach(host.machine, new, moment, "rollback")
    host.cut()
    assert host.again(f"{moment} of a rollback") == (new if moment in STAYS else old)


@pytest.mark.parametrize("moment", ["cutover", "retire"])
def test_a_power_cut_in_the_recovery_from_one(moment: str, host: Host) -> None:
    old, new = host.live, host.other
    reach(host.machine, new, moment, "activate", new)
    host.cut()
    host.machine.switch_on()
    host.machine.wait(lambda: "recover.service" in host.machine.console())
    seconds = host.chance.uniform(0, RECOVERY_SECONDS)
    time.sleep(seconds)
    host.cut()
    assert host.again(f"{moment}, and {seconds:.1f} s into the recovery") == (new if moment in STAYS else old)


@pytest.mark.parametrize("number", range(2))
def test_a_power_cut_at_a_random_moment_of_an_activation(number: int, host: Host) -> None:
    old, new = host.live, host.other
    seconds = host.chance.uniform(0, ACTIVATION_SECONDS)
    with host.machine.begin(f"slipway activate {new}", user="deploy") as run:
        time.sleep(seconds)
        host.cut()
        printed, _ = run.communicate()
    live = host.again(f"{seconds:.0f} s into an activation")
    # What was told is so.
    assert live in ({new} if "is live" in printed else {old, new}), (old, new, live, printed)


@contextmanager
def deploying(host: Host) -> Iterator[subprocess.Popen[str]]:
    """Deploy a new release from the controller while the block cuts the power; after it all agree."""
    host.site.setting(SERIAL=str(time.time_ns()))
    run = host.site.begin_slipway("deploy", "production")
    try:
        yield run
    finally:
        host.cut()
    ended_before = run.poll() is not None
    live = host.again("a deploy")
    printed, _ = run.communicate(timeout=ENDS_SECONDS)
    # What was told is so.
    assert run.returncode != 0 or live == host.releases[0], printed[-3000:]
    assert run.returncode == 0 or not ended_before, printed[-3000:]


@pytest.mark.parametrize(("folder", "suffix"), [("releases", ".partial"), ("sealed", ".new")])
def test_a_power_cut_while_a_release_comes(folder: str, suffix: str, host: Host) -> None:
    old = host.live
    if folder == "releases":
        (host.site.repository / "blob").write_bytes(os.urandom(200 * 1024 * 1024))
    with watching(host.machine, SHIPMENT, f"/srv/app/{folder}", suffix) as seen:
        assert next(seen) == "watches"
        with deploying(host):
            assert next(seen, None)
            time.sleep(ARRIVES_SECONDS if folder == "releases" else 0)
    assert host.live == old
    (host.site.repository / "blob").write_bytes(b"")


@pytest.mark.parametrize("number", range(2))
def test_a_power_cut_at_a_random_moment_of_a_deploy(number: int, host: Host) -> None:
    with deploying(host):
        time.sleep(host.chance.uniform(0, DEPLOY_SECONDS))


def test_a_power_cut_right_after_a_deploy_was_told(host: Host) -> None:
    old = host.live
    host.site.deploy()
    host.cut()
    assert host.again("the deploy was told") != old
    assert host.site.status()["rollback_target"] == old


def test_a_deploy_works_after_all_these_cuts(host: Host) -> None:
    old = host.live
    host.site.deploy()
    assert assert_all_agree(host.site) != old
