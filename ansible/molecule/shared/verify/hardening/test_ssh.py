"""After settings that lock out, sshd has those before again."""

import json
from pathlib import Path
from typing import Any

import pytest
from deploys import run_playbook

FILE = "/etc/ssh/sshd_config.d/00-slipway.conf"
PLAY = str(Path(__file__).with_name("ssh.yml"))


@pytest.mark.catalogue
def test_settings_that_lock_out_are_undone(host: Any) -> None:
    # Valid for sshd, and no client of today knows it.
    settings = {"__hardening_kex": ["diffie-hellman-group1-sha1"]}
    before = host.check_output(f"cat {FILE} && sshd -T")
    refused = run_playbook(PLAY, "--extra-vars", json.dumps(settings))
    assert refused.returncode != 0
    assert "sshd has its settings before again" in " ".join(refused.stdout.split())
    assert host.check_output(f"cat {FILE} && sshd -T") == before
    # By a connection of its own, and nothing to change.
    again = run_playbook(PLAY)
    assert again.returncode == 0, again.stdout
    assert "changed=0" in again.stdout
