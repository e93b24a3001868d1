"""What the kernel ends last, and swap. A test host shares its machine's kernel: that swap is created is tried on a VM, by hand."""

import json
from pathlib import Path
from typing import Any

import pytest
from deploys import run_playbook


@pytest.mark.parametrize(("unit", "most"), [("nginx", -500), ("systemd-journald", -250)])
def test_the_kernel_ends_a_release_before(host: Any, unit: str, most: int) -> None:
    assert int(host.check_output(f"systemctl show --value --property OOMScoreAdjust {unit}")) <= most


def test_sessions_of_ssh_are_not_protected(host: Any) -> None:
    """The listener of sshd protects itself; sessions would inherit the setting of its unit."""
    assert host.check_output("systemctl show --value --property OOMScoreAdjust ssh") == "0"


def test_a_container_gets_no_swap_file(host: Any) -> None:
    variables = {"hardening_swap_size": "64M"}
    done = run_playbook(str(Path(__file__).with_name("swap.yml")), "--extra-vars", json.dumps(variables))
    assert done.returncode == 0, done.stdout
    assert "gets no swap file: it is a container" in " ".join(done.stdout.split())
    assert not host.file("/var/slipway.swapfile").exists
