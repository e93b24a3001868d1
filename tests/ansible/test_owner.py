"""A host of another project is refused by deploy and rollback, too. The host is a stand-in for ssh that tells a status."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.ansible.test_bad_input import NOBODY, play

# Each runs ansible-playbook once, which takes a second or two.
pytestmark = pytest.mark.slow

OURS = {"project": "acme/blog", "environment": "production", "names": ["www.example.com"]}


def run(folder: Path, verb: str, status: dict[str, Any], **variables: Any) -> tuple[int, str]:
    """Run a verb of the project acme/blog against a host of this status."""
    told = {"protocol": 2, "rollback_target": "20261122T105851-3f2a9c1", "lock": None} | status
    ssh = folder / "ssh"
    ssh.write_text(f"#!/bin/sh\ncat <<'END'\n{json.dumps(told)}\nEND\n")
    ssh.chmod(0o755)
    inventory = folder / "production"
    inventory.mkdir()
    host = {"ansible_host": NOBODY, "ansible_ssh_executable": str(ssh), "host_project": "acme/blog"}
    return play(inventory, verb, {"app1": host}, variables)


@pytest.mark.parametrize("verb", ["deploy.yml", "rollback.yml"])
@pytest.mark.parametrize("adopted", [False, True])
def test_a_host_of_another_project_is_refused(tmp_path: Path, verb: str, adopted: bool) -> None:
    code, output = run(tmp_path, verb, {"site": OURS | {"project": "acme/shop"}}, host_adopted=adopted)
    assert code
    assert "app1 is another one's: it belongs to the project acme/shop, and this one is acme/blog" in output
    assert "provision it: slipway provision production -- -e host_adopted=true" in output
    assert "Start the rollback" not in output
    assert "image |" not in output


@pytest.mark.parametrize(
    ("site", "why"),
    [
        (OURS | {"environment": "staging"}, "it is a host of the environment staging, and this one is production"),
        (OURS | {"names": ["shop.example.com"]}, "it serves shop.example.com, and nginx_server_names has none"),
    ],
)
def test_another_environment_and_another_site_are_refused(tmp_path: Path, site: dict[str, Any], why: str) -> None:
    code, output = run(tmp_path, "rollback.yml", {"site": site})
    assert code
    assert why in output


@pytest.mark.parametrize("status", [{"site": OURS}, {"site": None}, {}])
def test_our_own_host_and_one_that_an_older_slipway_provisioned_are_taken(
    tmp_path: Path, status: dict[str, Any]
) -> None:
    code, output = run(tmp_path, "rollback.yml", status)
    assert code == 0, output
    assert "Start the rollback" in output
