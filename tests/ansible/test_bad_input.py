"""What is refused before a host is touched. No case here needs one: the address is nobody's, or the check comes first."""

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.ansible.conftest import ANSIBLE

# Each runs ansible-playbook once, which takes a second or two.
pytestmark = pytest.mark.slow

NOBODY = "192.0.2.1"
"""An address for documentation: a case that connects fails with another message than the one that it expects."""

GOOD: dict[str, Any] = {
    "host_deploy_keys": ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOH9ixnxsoE+c83SnT54xo8wG8z+Yp0CQnJrC0qgt+QX ci"],
    "nginx_server_names": ["www.example.com"],
}


def play(folder: Path, verb: str, hosts: dict[str, Any], values: dict[str, Any]) -> tuple[int, str]:
    """Run a verb; return its status and all of its output as one line."""
    (folder / "settings.env").touch()
    (folder / "hosts.yml").write_text(yaml.safe_dump({"app": {"hosts": hosts, "vars": GOOD | values}}))
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(folder / "hosts.yml"), verb]
    environment = os.environ | {"ANSIBLE_CONFIG": str(ANSIBLE / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
    done = subprocess.run(
        command, cwd=ANSIBLE, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, " ".join((done.stdout + done.stderr).split())


@pytest.mark.parametrize("verb", ["site.yml", "deploy.yml", "rollback.yml", "status.yml"])
def test_an_inventory_without_app_hosts(tmp_path: Path, verb: str) -> None:
    status, output = play(tmp_path, verb, {}, {})
    assert status
    assert "No host is in the group `app`. Name an inventory that has one" in output


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"host_deploy_keys": []}, "host_deploy_keys is empty: nobody could deploy"),
        ({"host_deploy_keys": ["AAAA"]}, "AAAA is not a public key. Give the line of the .pub file as it is"),
        ({"host_deploy_keys": ['command="x" ssh-ed25519 AAAA']}, "is not a public key"),
    ],
)
def test_site_names_what_is_missing(tmp_path: Path, values: dict[str, Any], expected: str) -> None:
    status, output = play(tmp_path, "site.yml", {"app1": {"ansible_host": NOBODY}}, values)
    assert status
    assert expected in output


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"app_egress": "host", "app_egress_networks": ["10.0.0.0/8"]}, "Networks go with app_egress: networks"),
        ({"app_egress": "networks"}, "app_egress is `networks` and app_egress_networks is []"),
        ({"app_egress": "all"}, "value of app_egress must be one of: none, host, networks, internet, got: all"),
        ({"app_ready_path": "readyz"}, "Each must begin with a slash"),
        ({"app_memory_max": "half"}, "app_memory_max half (bytes, or 512M, 2G, infinity)"),
        ({"app_processes": [{"name": "web"}]}, "Each has the `name` of a line of the Procfile"),
        ({"app_processes": [{"name": "a b"}]}, "Each has the `name` of a line of the Procfile"),
        ({"app_processes": [{"name": "worker"}, {"name": "worker"}]}, "none twice"),
        ({"app_processes": [{"name": "worker", "count": 0}]}, "a `count` of at least 1"),
        ({"app_processes": [{"name": "beat", "single": True, "count": 2}]}, "of 1 where `single` is true"),
        ({"app_processes": [{"name": "worker", "memory_max": "much"}]}, "`memory_max` as 512M, 2G or infinity"),
        ({"app_processes": [{"name": "worker", "number": 2}]}, "number"),
        ({"app_jobs": [{"name": "at-night", "command": "x", "schedule": "daily"}]}, "Each has a `name` (letters"),
        ({"app_jobs": [{"name": "nightly", "schedule": "daily"}]}, "missing required arguments: command"),
        ({"app_single_host": "db1"}, "app_single_host is `db1`, which is none of the app hosts (app1)"),
    ],
)
def test_deploy_names_what_cannot_be(tmp_path: Path, values: dict[str, Any], expected: str) -> None:
    status, output = play(tmp_path, "deploy.yml", {"app1": {"ansible_host": NOBODY}}, values)
    assert status
    assert expected in output


def test_more_than_one_host_with_the_embedded_database(tmp_path: Path) -> None:
    hosts = {"app1": {"ansible_host": NOBODY}, "app2": {"ansible_host": NOBODY}}
    status, output = play(tmp_path, "deploy.yml", hosts, {})
    assert status
    assert "app_database is `embedded`, and there are 2 app hosts (app1, app2)" in output


@pytest.mark.parametrize("release", ["latest", "20261122T105851", "20261122T105851-3F2A9C1", "../../etc"])
def test_a_release_name_that_is_none(tmp_path: Path, release: str) -> None:
    status, output = play(
        tmp_path, "rollback.yml", {"app1": {"ansible_host": NOBODY}}, {"release_rollback_to": release}
    )
    assert status
    assert f"{release} is not the name of a release" in output


@pytest.mark.parametrize(
    ("verb", "expected"),
    [
        ("site.yml", "app1 cannot be reached: "),
        ("deploy.yml", "app1 cannot be reached as the user `deploy`"),
        ("rollback.yml", "If the host was never provisioned: make provision ENV="),
    ],
)
def test_a_host_that_cannot_be_reached(tmp_path: Path, verb: str, expected: str) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        address = {"ansible_host": "127.0.0.1", "ansible_port": nobody.getsockname()[1]}
        status, output = play(tmp_path, verb, {"app1": address}, {})
    assert status
    assert expected in output


@pytest.mark.parametrize("environment", ["production", "staging"])
def test_the_example_inventories_ask_to_be_filled_in(environment: str) -> None:
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", f"inventories/{environment}", "site.yml"]
    done = subprocess.run(command, cwd=ANSIBLE, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode
    assert "is not a public key. Give the line of the .pub file" in " ".join(done.stdout.split())
