"""`slipway status` of an app host and a data host of its own. Stand-ins for ssh answer, or refuse the login."""

from pathlib import Path

import pytest
import yaml

from tests.ansible.conftest import run_play
from tests.ansible.test_bad_input import GOOD, NOBODY

pytestmark = pytest.mark.slow

HEALTHY = '{"protocol": 2, "lock": null, "site": null, "told": "healthy"}'


def status(folder: Path, refusal: str) -> tuple[int, str]:
    """Print the status where the app host answers, and ssh says this of the data host."""
    hosts = {}
    for name, script in {"app1": f"echo '{HEALTHY}'", "db1": f"echo '{refusal}' >&2; exit 255"}.items():
        ssh = folder / f"ssh-{name}"
        ssh.write_text(f"#!/bin/sh\n{script}\n")
        ssh.chmod(0o755)
        hosts[name] = {"ansible_host": NOBODY, "ansible_ssh_executable": str(ssh)}
    groups = {
        "app": {"hosts": {"app1": hosts["app1"]}},
        "data": {"hosts": {"db1": hosts["db1"]}},
        "all": {"vars": GOOD},
    }
    (folder / "hosts.yml").write_text(yaml.safe_dump(groups))
    (folder / "settings.env").touch()
    return run_play(folder, "status.yml")


def test_a_data_host_that_refuses_the_login_is_named_and_no_failure(tmp_path: Path) -> None:
    code, output = status(tmp_path, "root@db1: Permission denied (publickey).")
    assert code == 0, output
    assert HEALTHY in output
    assert "db1: not shown, since it takes the login that provisions: " in output
    assert "root@db1: Permission denied (publickey)." in output


def test_a_data_host_that_is_away_is_a_failure(tmp_path: Path) -> None:
    code, output = status(tmp_path, "ssh: connect to host db1 port 22: No route to host")
    assert code
    assert HEALTHY in output
    assert "db1 cannot be reached: " in output
    assert "No route to host" in output
