"""What is refused before a host is touched. No case here needs one: the address is nobody's, or the check comes first."""

import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.ansible.conftest import ANSIBLE, run_play

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
    return run_play(folder, verb)


@pytest.mark.parametrize("verb", ["site.yml", "deploy.yml", "rollback.yml", "status.yml"])
def test_an_inventory_without_app_hosts(tmp_path: Path, verb: str) -> None:
    status, output = play(tmp_path, verb, {}, {})
    assert status
    assert "Name one in its hosts.yml: a line `app:`, below it `hosts:`" in output


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


@pytest.mark.parametrize("text", ["app_secrets: {A: b}\n", "", "# $ANSIBLE_VAULT;1.1;AES256\n"])
def test_secrets_that_are_not_encrypted_are_refused_without_a_host(tmp_path: Path, text: str) -> None:
    (tmp_path / "secrets.yml").write_text(text)
    status, output = play(tmp_path, "site.yml", {"app1": {"ansible_host": NOBODY}}, {})
    assert status
    assert f"{tmp_path / 'secrets.yml'} is not encrypted" in output
    assert "ansible-vault encrypt" in output


def test_site_names_a_size_of_swap_that_is_none(tmp_path: Path) -> None:
    status, output = play(tmp_path, "site.yml", {"app1": {"ansible_host": NOBODY}}, {"hardening_swap_size": "half"})
    assert status
    assert "hardening_swap_size is `half`, and must be a size as 512M or 2G" in output


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"backup_wal_seconds": 5}, "backup_wal_seconds is 5, and must be from 10 to 3600, or 0 for no WAL archiving"),
        ({"backup_wal_seconds": 60}, "backup_wal_seconds is 60, and needs backup_repository and a host in the group"),
    ],
)
def test_site_names_what_wal_archiving_lacks(tmp_path: Path, values: dict[str, Any], expected: str) -> None:
    status, output = play(tmp_path, "site.yml", {"app1": {"ansible_host": NOBODY}}, values)
    assert status
    assert expected in output


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"nginx_server_names": []}, "nginx_server_names is empty: nginx would refuse every request"),
        ({"nginx_server_names": ["_"]}, "nginx_server_names has `_`, which is a pattern"),
        (
            {"nginx_acme_dns": "godaddy"},
            "value of nginx_acme_dns must be one of: , cloudflare, google, rfc2136, route53",
        ),
    ],
)
def test_site_names_what_no_ca_certifies(tmp_path: Path, values: dict[str, Any], expected: str) -> None:
    status, output = play(tmp_path, "site.yml", {"app1": {"ansible_host": NOBODY}}, {"nginx_tls": "acme"} | values)
    assert status
    assert expected in output


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"nginx_connections_per_address": 65536}, "nginx_connections_per_address 65536"),
        ({"hardening_firewall_connections": 3}, "hardening_firewall_connections is 3: a browser opens six"),
        (
            {"hardening_firewall_connection_rate": 5},
            "hardening_firewall_connection_rate is 5: an office has one address",
        ),
    ],
)
def test_site_names_a_limit_that_cannot_be(tmp_path: Path, values: dict[str, Any], expected: str) -> None:
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
        (
            {"app_memory_max": "half"},
            "app_memory_max is half, and must be a number of bytes, a size like 512M or 2G, or infinity. Set for example",
        ),
        (
            {"app_memory_high": "9X"},
            "app_memory_high is 9X, and must be a number of bytes, a size like 460M or 2G, infinity, or",
        ),
        (
            {"app_swap_max": -1},
            "app_swap_max is -1, and must be a number of bytes, a size like 256M, infinity, 0, or empty",
        ),
        (
            {"app_journal_max": "infinity"},
            "app_journal_max is infinity, and must be a size like 512M or 2G. Set for example",
        ),
        ({"app_processes": [{"name": "web"}]}, "the name 'web' must be that of a line of the Procfile"),
        (
            {"app_processes": [{"name": "worker", "memory_max": "much"}]},
            "worker has memory_max much, and must have a size",
        ),
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


@pytest.mark.parametrize("verb", ["site.yml", "deploy.yml"])
@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"nginx_body_size": "5m"}, "sets nginx_body_size (did you mean nginx_body_size_mb?), and no role has such"),
        ({"app_egres": "none", "release_kept": 3}, "app_egres (did you mean app_egress?), release_kept"),
    ],
)
def test_a_variable_that_no_role_has(tmp_path: Path, verb: str, values: dict[str, Any], expected: str) -> None:
    status, output = play(tmp_path, verb, {"app1": {"ansible_host": NOBODY}}, values)
    assert status
    assert expected in output


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        *[
            ("0123", "a number"),
            ("1.5e+3", "a number"),
            ("yes", "yes or no"),
            ("2026-01-02", "a date"),
            ("", "nothing"),
        ],
        *[("{a: b}", "a mapping"), ("[a]", "a list"), ("12:30:00", "a number")],
    ],
)
def test_a_secret_that_yaml_does_not_read_as_text(tmp_path: Path, written: str, kind: str) -> None:
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "group_vars/all.yml").write_text(f"app_secrets: {{GOOD: '0123', WRONG: {written}}}\n")
    status, output = play(tmp_path, "site.yml", {"app1": {"ansible_host": NOBODY}}, {})
    assert status
    assert f"app_secrets: YAML reads WRONG as {kind}; a secret must be text. Quote the value in the inventory" in output


def test_names_of_several_hosts_that_no_ca_certifies(tmp_path: Path) -> None:
    hosts = {"app1": {"ansible_host": NOBODY}, "app2": {"ansible_host": NOBODY}}
    status, output = play(tmp_path, "site.yml", hosts, {"nginx_tls": "acme", "app_database": "external"})
    assert status
    assert "nginx_server_names has www.example.com on several hosts" in output


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
        ("site.yml", "app1 cannot be reached as root: "),
        ("deploy.yml", "app1 cannot be reached as the user `deploy`"),
        ("rollback.yml", "(a host that was never provisioned: slipway provision "),
    ],
)
def test_a_host_that_cannot_be_reached(tmp_path: Path, verb: str, expected: str) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        address = {"ansible_host": "127.0.0.1", "ansible_port": nobody.getsockname()[1]}
        status, output = play(tmp_path, verb, {"app1": address}, {})
    assert status
    assert expected in output


@pytest.mark.parametrize("verb", ["deploy.yml", "rollback.yml", "status.yml"])
def test_only_provisioning_decrypts_the_password_of_sudo(tmp_path: Path, verb: str) -> None:
    (tmp_path / "group_vars").mkdir()
    encrypted = f"!vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  {'3' * 80}\n"
    names = ("ansible_become_password", "ansible_become_pass")
    (tmp_path / "group_vars/all.yml").write_text("".join(f"{name}: {encrypted}" for name in names))
    status, output = play(tmp_path, verb, {"app1": {"ansible_host": "127.0.0.1", "ansible_port": 1}}, {})
    assert status
    assert "app1 cannot be reached as the user `deploy`" in output


def test_a_secret_that_nobody_wrote_down_says_how_to(tmp_path: Path) -> None:
    hosts = {"app1": {"ansible_host": NOBODY}}
    status, output = play(tmp_path, "site.yml", hosts, {"app_secrets_as_environment": ["API_KEY"]})
    assert status
    file = tmp_path / "secrets.yml"
    assert f"There is no {file}. Create it from secrets.example.yml beside it" in output
    assert f"ansible-vault encrypt {file} -- or remove the name" in output


@pytest.mark.parametrize("environment", ["production", "staging"])
def test_the_example_inventories_ask_to_be_filled_in(environment: str) -> None:
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", f"inventories/{environment}", "site.yml"]
    done = subprocess.run(command, cwd=ANSIBLE, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode
    assert "is not a public key. Give the line of the .pub file" in " ".join(done.stdout.split())
