"""The nightly comparison of the host with what provisioning left: it runs, covers what is managed, and finds nothing."""

import json
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest


@pytest.fixture
def told(host: Any, deployer: Any) -> Any:
    """What the status tells after a look."""
    host.check_output("systemctl start drift.service")
    return json.loads(deployer.check_output("slipway status --json"))["drift"]


def test_nothing_differs(told: Any) -> None:
    assert {how: told[how] for how in ("added", "changed", "removed")} == {"added": [], "changed": [], "removed": []}
    assert told["state"] == "clean"


def test_it_looks_every_night(host: Any) -> None:
    timer = host.service("drift.timer")
    assert timer.is_enabled
    assert timer.is_running


def test_every_file_that_says_it_is_managed_is_compared(host: Any) -> None:
    managed = host.check_output(
        "grep --recursive --files-with-matches --binary-files=without-match 'Managed by Slipway' /etc /usr/local"
    )
    database = host.check_output("cat /var/lib/slipway/aide.db").splitlines()
    compared = {unquote(line.split(" ")[0]) for line in database}
    assert len(managed.splitlines()) > 20
    assert set(managed.splitlines()) - compared == set()
    assert "/usr/local/lib/slipway/slipway/engine/cli.py" in compared


def test_a_deployer_reads_the_result_and_changes_nothing_of_it(deployer: Any) -> None:
    folder = "/var/lib/slipway"
    assert deployer.run(f"test -r {folder}/drift.json -a ! -w {folder}/drift.json -a ! -w {folder}").rc == 0
    assert deployer.run(f"cat {folder}/aide.db").rc != 0
    assert deployer.run("systemctl --no-ask-password start drift.service").rc != 0


@pytest.mark.parametrize("asked", [[], ["touch /tmp/taken; id"], ["-s", "sftp"]], ids=["nothing", "a command", "sftp"])
def test_a_key_for_the_status_gives_the_status_and_nothing_else(
    host: Any, deployer: Any, name: str, asked: list[str]
) -> None:
    config = deployer.backend.ssh_config
    # Offered first, on a connection of its own.
    options = ["-F", config, "-o", f"IdentityFile={Path(config).parent}/status_ed25519", "-o", "ControlPath=none"]
    said = subprocess.run(
        ["ssh", *options, *asked[:-1], f"deploy@{name}", *asked[-1:]], capture_output=True, text=True, timeout=20
    )
    assert json.loads(said.stdout)["host"]
    assert not host.file("/tmp/taken").exists
