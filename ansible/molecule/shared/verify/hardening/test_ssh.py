"""Who logs in over SSH and by which algorithms; after settings that lock out, sshd has those before again."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from deploys import HOSTS, NAME, run_playbook

FILE = "/etc/ssh/sshd_config.d/00-slipway.conf"
PLAY = str(Path(__file__).with_name("ssh.yml"))


def apply(**variables: Any) -> subprocess.CompletedProcess[str]:
    """Apply sshd's settings with these variables, as site.yml does."""
    return run_playbook(PLAY, "--extra-vars", json.dumps(variables))


@pytest.fixture
def key_of_root(host: Any) -> Iterator[None]:
    """Root's key is the administrator's, as in many providers' images."""
    host.check_output("install -D --mode 600 ~admin/.ssh/authorized_keys /root/.ssh/authorized_keys")
    yield
    host.check_output("rm /root/.ssh/authorized_keys")


def login(user: str) -> subprocess.CompletedProcess[str]:
    """Log in with a key and a client of its own connection."""
    command = ["ssh", "-F", str(HOSTS / NAME / "ssh_config"), "-o", "ControlPath=none", f"{user}@{NAME}", "true"]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


@pytest.mark.usefixtures("key_of_root")
def test_root_logs_in_only_where_it_provisions_or_may() -> None:
    """And the banner is there for those who set one."""
    refused = login("root")
    assert refused.returncode != 0
    assert "Permission denied" in refused.stderr
    quiet = login("admin")
    assert (quiet.returncode, quiet.stderr) == (0, "")
    try:
        assert apply(hardening_ssh_root=True, hardening_banner="Authorized users only.").returncode == 0
        permitted = login("root")
        assert (permitted.returncode, permitted.stderr.strip()) == (0, "Authorized users only.")
    finally:
        again = apply()
    assert again.returncode == 0, again.stdout
    assert login("admin").stderr == ""


def test_algorithms_are_strong(host: Any) -> None:
    settings = dict(line.split(" ", 1) for line in host.check_output("sshd -T").splitlines() if " " in line)
    assert not re.search(r"cbc|arcfour|3des", settings["ciphers"])
    assert all("-etm@" in name and not re.search("md5|sha1|-64", name) for name in settings["macs"].split(","))
    assert not re.search(r"sha1\b|nistp", settings["kexalgorithms"])
    assert settings["loglevel"] == "VERBOSE"


@pytest.mark.catalogue
def test_settings_that_lock_out_are_undone(host: Any) -> None:
    # Valid for sshd, and no client of today knows it.
    before = host.check_output(f"cat {FILE} && sshd -T")
    refused = apply(__hardening_kex=["diffie-hellman-group1-sha1"])
    assert refused.returncode != 0
    assert "sshd has its settings before again" in " ".join(refused.stdout.split())
    assert host.check_output(f"cat {FILE} && sshd -T") == before
    # By a connection of its own, and nothing to change.
    again = apply()
    assert again.returncode == 0, again.stdout
    assert "changed=0" in again.stdout
