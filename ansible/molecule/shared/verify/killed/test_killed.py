"""Deploys that are killed, under load: the site serves, the status is true, and the host rolls back by itself.

That no request failed is what the load says at the end.
"""

import json
import os
import re
import signal
import subprocess
import time
from typing import Any

import pytest
from deploys import HOSTS, NAME, Deploy, Site, examples

WATCHER = """
import json, pathlib, subprocess, sys, time
kill, *phases = sys.argv[1:]
deadline = time.monotonic() + 60
while time.monotonic() < deadline:
    for path in pathlib.Path("/srv/app/releases").glob("2*.json"):
        try:
            record = json.loads(path.read_text())
        except (ValueError, FileNotFoundError):
            continue
        if record["phase"] in phases:
            unit = f"deploy@{record['release']}.service"
            if kill == "kill":
                subprocess.run(["systemctl", "kill", "--signal=KILL", "--kill-whom=main", unit])
            while kill == "extinguish" and time.monotonic() < deadline:
                if subprocess.run(["systemctl", "kill", "--signal=KILL", unit]).returncode:
                    break
                time.sleep(0.01)
            print(record["release"])
            sys.exit()
    time.sleep(0.001)
sys.exit(f"no release was in the phase {phases}")
"""
"""Waits on the host until a release is in one of the phases and names it. `kill` kills its engine there, `extinguish` also
what recovers it afterwards, until nothing of the unit is left."""
pytestmark = pytest.mark.usefixtures("brief_watch")

NEXT = {
    "migrate": (),
    "start": ("probe",),
    "probe": (),
    "canary": ("watch-canary",),
    "watch-canary": (),
    "cutover": ("probe-front", "watch"),
    "watch": (),
    "retire": (),
}
"""Phases, and what may have begun when the watcher has seen them: some last for a hundredth of a second. Those that
cannot be met like this (complete, keep, prune) are killed in the engine's own tests, before and after each."""


@pytest.fixture
def site(deployer: Any) -> Site:
    """The host, as `deploy`."""
    return Site(deployer)


@pytest.mark.parametrize("phase", examples(NEXT, "watch-canary"))
def test_the_engine_is_killed(host: Any, site: Site, phase: str) -> None:
    """The host recovers, and the next activation's output says so."""
    old = site.status()["live"]
    deploy = begin(phase)
    killed = watch(host, phase, "kill")
    ended = deploy.wait()
    status = site.status()
    entry = status["history"][-1]
    if phase == "retire":
        live, how = killed, "done"
        assert ended == 0, deploy.output
    else:
        live, how = old, "killed"
        assert ended != 0
        causes = [f"{each}: the engine was killed; its phases were undone" for each in (phase, *NEXT[phase])]
        assert any(cause in deploy.output for cause in causes), deploy.output
    assert (status["state"], status["live"], status["canary"], status["lock"]) == ("healthy", live, live, None)
    assert (entry["release"], entry["ended"]) == (killed, how)
    site.until(lambda _status: site.running() == {live})
    site.heals()


@pytest.mark.parametrize("phase", examples(NEXT, "start"))
def test_the_engine_is_killed_and_what_would_mend_it_too(host: Any, site: Site, phase: str) -> None:
    old = site.status()["live"]
    deploy = begin(phase)
    killed = watch(host, phase, "extinguish")
    assert deploy.wait() != 0
    assert any(f"the engine ended in phase {each} without a result" in deploy.output for each in (phase, *NEXT[phase]))
    status = site.status()
    assert status["state"] == "interrupted"
    assert status["live"] == (killed if phase == "retire" else old)
    site.heals()


def test_the_controller_is_killed_in_the_middle_of_the_upload(site: Site) -> None:
    before = site.status()
    deploy = Deploy()
    deadline = time.monotonic() + 60
    while site.deployer.run("ls -d /srv/app/releases/.*.partial/usr").rc:
        assert time.monotonic() < deadline, deploy.output
    deploy.kill()
    after = site.status()
    assert (after["state"], after["live"]) == ("healthy", before["live"])
    # An hour later it is clear that nobody goes on with it.
    site.deployer.check_output("touch --date='-2 hours' /srv/app/releases/.*.manifest.json")
    assert [each["release"] for each in after["releases"]] == [each["release"] for each in before["releases"]]
    site.heals()


@pytest.mark.parametrize("phase", examples(NEXT, "watch-canary"))
def test_the_controller_is_killed_while_the_host_activates(host: Any, site: Site, phase: str) -> None:
    old = site.status()["live"]
    deploy = begin(phase)
    watch(host, phase)
    deploy.kill()
    finishes_by_itself(site, old)


@pytest.mark.catalogue  # for the host as if the controller were killed
@pytest.mark.parametrize("phase", NEXT)
def test_the_connection_is_lost_while_the_host_activates(host: Any, site: Site, phase: str) -> None:
    old = site.status()["live"]
    deploy = begin(phase)
    watch(host, phase)
    masters = _connections()
    assert masters, "Ansible has no connection of its own"
    for pid in masters:
        os.kill(pid, signal.SIGKILL)
    deploy.wait()
    finishes_by_itself(site, old)


def begin(phase: str) -> Deploy:
    """A deploy that will be long enough in a phase to be met there."""
    return Deploy("migration-slow" if phase == "migrate" else "")


def watch(host: Any, phase: str, kill: str = "") -> str:
    """Wait until a release is in a phase, and return its name."""
    command = f"python3 -c %s '{kill}' {' '.join((phase, *NEXT[phase]))}"
    released: str = host.check_output(command, WATCHER).strip()
    return released


def finishes_by_itself(site: Site, old: str) -> None:
    """The host goes on with nobody to tell it, and the next deploy needs no help."""
    status = site.until(lambda status: status["state"] == "healthy" and not status["lock"] and status["live"] != old)
    assert status["history"][-1]["ended"] == "done"
    site.heals()


def _connections() -> list[int]:
    """The processes that hold SSH connections to the host, Ansible's among them."""
    inventory = json.loads((HOSTS / NAME / "inventory.yml").read_text().split("\n", 1)[1])
    port = inventory["app"]["hosts"][NAME]["ansible_port"]
    command = ["ss", "--no-header", "--tcp", "--processes", "state", "established", f"( dport = :{port} )"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [int(pid) for pid in re.findall(r'"ssh",pid=(\d+)', shown)]
