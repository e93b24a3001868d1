"""Moments of a deploy in a VM, seen on the VM itself: the engine is frozen in a phase, so that the power is cut in it."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager

from tests.vm.machine import Machine

ACTIVATION = """
import json, subprocess, sys, time
from contextlib import suppress
from pathlib import Path

release, moment, *command = sys.argv[1:]
record = Path(f"/srv/app/releases/{release}.json")
freezer = Path(f"/sys/fs/cgroup/system.slice/system-deploy.slice/deploy@{release}.service/cgroup.freeze")
read = lambda: json.loads(record.read_text())
before = (read()["request"] or {}).get("id")
subprocess.Popen(["runuser", "-u", "deploy", "--", "slipway", *command, "--no-wait"], stdout=subprocess.DEVNULL)
changed, deadline = 0, time.monotonic() + 300
while time.monotonic() < deadline:
    # A record is replaced. Looking at its time alone leaves an emulated core to the engine.
    if changed == (changed := record.stat().st_mtime_ns):
        time.sleep(0.005)
        continue
    found = read()
    if found["request"].get("id") != before and moment in {found["phase"], found["request"]["state"]}:
        with suppress(OSError):
            freezer.write_text("1")
        print("now", flush=True)
        break
else:
    print(read(), flush=True)
"""
"""Begins an activation, and freezes its engine in a phase, or when it is in a state."""
SHIPMENT = """
import sys, time
from pathlib import Path

folder, suffix = Path(sys.argv[1]), sys.argv[2]
names = lambda: {path.name for path in folder.iterdir() if path.name.endswith(suffix)}
before = names()
print("watches", flush=True)
changed = 0
while True:
    while changed == (changed := folder.stat().st_mtime_ns):
        time.sleep(0.02)
    if found := sorted(names() - before):
        print(found[0].lstrip(".").partition(".")[0], flush=True)
        break
"""
"""Prints the name of the new release as soon as something of it with a suffix is in a folder."""


def reach(machine: Machine, release: str, moment: str, *command: str) -> None:
    """Begin an activation by a command of `slipway` on the VM, and return when its engine is frozen at a moment.

    Raises:
        AssertionError: it never was there.
    """
    with watching(machine, ACTIVATION, release, moment, *command) as seen:
        line = next(seen, "nothing")
    assert line == "now", f"{moment} was not seen: {line}"


@contextmanager
def watching(machine: Machine, script: str, *arguments: str) -> Iterator[Iterator[str]]:
    """Run a script as root on the VM, and yield the lines that it prints."""
    with machine.begin(f"sudo python3 {shlex.join(['-c', script, *arguments])}", user="admin") as watch:
        assert watch.stdout
        try:
            yield (line.strip() for line in watch.stdout)
        finally:
            watch.kill()
