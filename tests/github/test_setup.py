"""make github: what GitHub gets for each plan, that nothing is made twice, and that mistakes are found first.

GitHub is a stand-in (tests/github/gh), and so are the hosts; the keys are real.
"""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from slipway.controller.github.forge import find_repository
from tests.github.conftest import ROOT, Fake

pytestmark = pytest.mark.slow  # together: a dozen programs start for each

HOST_KEYS = "ssh-ed25519 AAAAhost root@www1\necdsa-sha2-nistp256 AAAAother root@www1"
KNOWN_HOSTS = "192.0.2.1 ssh-ed25519 AAAAhost\n192.0.2.1 ecdsa-sha2-nistp256 AAAAother\n"
KNOWN_HOSTS += "[192.0.2.2]:2222 ssh-ed25519 AAAAhost\n[192.0.2.2]:2222 ecdsa-sha2-nistp256 AAAAother"


@dataclass
class Checkout:
    """A checkout of a project, with what `make github` needs of it."""

    root: Path
    programs: Path
    ssh: Fake
    ansible: Fake

    def github(self, environment: str = "production", **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.root / "tools/github", environment],
            env=os.environ
            | {"PATH": f"{self.programs}:{os.environ['PATH']}", "GH_STATE": str(self.root / "gh.json")}
            | {"XDG_STATE_HOME": str(self.root / "state")}
            | variables,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=60,
        )

    @property
    def state(self) -> dict[str, Any]:
        """What GitHub has."""
        found: dict[str, Any] = json.loads((self.root / "gh.json").read_text())
        return found

    def plan(self, plan: str, **more: Any) -> None:
        empty: dict[str, Any] = {"environments": {}, "secret": {}, "variable": {}, "calls": []}
        (self.root / "gh.json").write_text(json.dumps({"plan": plan} | empty | more))

    def inventory(self, **values: Any) -> None:
        folder = self.root / "ansible/inventories/production"
        (folder / "group_vars").mkdir(parents=True, exist_ok=True)
        hosts: dict[str, dict[str, Any]] = {
            "www1": {"ansible_host": "192.0.2.1"},
            "www2": {"ansible_host": "192.0.2.2", "ansible_port": 2222},
        }
        (folder / "hosts.yml").write_text(yaml.safe_dump({"app": {"hosts": hosts}}))
        usual: dict[str, Any] = {"host_admin": "ops", "nginx_server_names": ["www.example.com"], "nginx_tls": "files"}
        (folder / "group_vars/all.yml").write_text(yaml.safe_dump(usual | values))
        variables = usual | values
        known = {name: variables | host for name, host in hosts.items()}
        self.ansible.answers({"": (0, json.dumps({"_meta": {"hostvars": known}, "app": {"hosts": list(hosts)}}))})


@pytest.fixture
def checkout(tmp_path: Path, programs: Path) -> Checkout:
    root = tmp_path / "shop"
    (root / "tools").mkdir(parents=True)
    shutil.copy(ROOT / "tools/github", root / "tools/github")
    Fake(root / "tools", "go-tool")
    shutil.copy(Path(__file__).with_name("gh"), programs / "gh")
    cosign = programs / "cosign"
    cosign.write_text('#!/bin/sh\necho "signs, encrypted by $COSIGN_PASSWORD" >cosign.key; echo public >cosign.pub\n')
    cosign.chmod(0o755)
    subprocess.run(["git", "init", "-q", root], check=True)
    subprocess.run(["git", "-C", root, "remote", "add", "origin", "git@github.com:acme/shop.git"], check=True)
    made = Checkout(root, programs, Fake(programs, "ssh", real="-G"), Fake(programs, "ansible-inventory"))
    made.ssh.answers({"cat /etc/ssh": (0, HOST_KEYS)})
    made.inventory()
    made.plan("public")
    return made


def test_a_plan_with_everything(checkout: Checkout) -> None:
    (checkout.programs / "ansible-inventory").unlink()  # the real one, which takes a second
    done = checkout.github()
    assert done.returncode == 0, done.stderr
    state = checkout.state
    environment = state["environments"]["production"]
    assert environment["protection_rules"] == [
        {"type": "required_reviewers", "reviewers": [{"type": "User", "id": 17}]}
    ]
    assert environment["branches"] == ["main"]
    assert set(state["secret"]["production"]) == {"SLIPWAY_SSH_KEY"}
    assert set(state["secret"]["repository"]) == {
        "SLIPWAY_STATUS_KEY_PRODUCTION",
        "COSIGN_PRIVATE_KEY",
        "COSIGN_PASSWORD",
    }
    variables = state["variable"]
    assert variables["production"]["SLIPWAY_KNOWN_HOSTS"] == KNOWN_HOSTS
    assert variables["production"]["SLIPWAY_URL"] == "https://www.example.com"
    assert variables["repository"]["SLIPWAY_KNOWN_HOSTS_PRODUCTION"] == KNOWN_HOSTS
    assert variables["repository"]["SLIPWAY_PRODUCTION"] == "reviewers"
    assert state["secret"]["repository"]["COSIGN_PASSWORD"] in state["secret"]["repository"]["COSIGN_PRIVATE_KEY"]


def test_the_keys_are_pairs_and_the_private_ones_are_seen_by_nobody(checkout: Checkout, tmp_path: Path) -> None:
    done = checkout.github()
    state = checkout.state
    for scope, name in (("production", "SLIPWAY_SSH_KEY"), ("repository", "SLIPWAY_STATUS_KEY_PRODUCTION")):
        private = state["secret"][scope][name]
        (tmp_path / "key").write_text(private)
        (tmp_path / "key").chmod(0o600)
        public = subprocess.run(
            ["ssh-keygen", "-y", "-f", tmp_path / "key"], capture_output=True, text=True, check=True
        )
        assert public.stdout.strip() in done.stdout, "it is not among what goes into the inventory"
        assert public.stdout.strip() == state["variable"][scope][f"{name}_PUBLIC"]
        assert private.splitlines()[1] not in done.stdout + done.stderr + json.dumps(state["calls"])
    assert not (checkout.root / "state").exists()


def test_the_hosts_are_asked_strictly_and_as_they_are_provisioned(checkout: Checkout) -> None:
    checkout.github()
    assert [call[-2:] for call in checkout.ssh.calls] == [
        ["ops@192.0.2.1", "cat /etc/ssh/ssh_host_*_key.pub"],
        ["ops@192.0.2.2", "cat /etc/ssh/ssh_host_*_key.pub"],
    ]
    assert all("-oStrictHostKeyChecking=yes" in call for call in checkout.ssh.calls)


def test_the_key_of_a_jump_host_comes_from_the_persons_known_hosts(checkout: Checkout, tmp_path: Path) -> None:
    known, config = tmp_path / "known_hosts", tmp_path / "ssh_config"
    config.write_text(f"Host *\n  UserKnownHostsFile {known}\n  GlobalKnownHostsFile none\n")
    checkout.inventory(ansible_ssh_common_args=f"-F {config} -J gate@198.51.100.1:2222")
    refused = checkout.github()
    assert refused.returncode == 1
    assert "www1 is behind [198.51.100.1]:2222, whose key is not in your known_hosts" in refused.stderr
    assert checkout.state["secret"] == {}
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOH9ixnxsoE+c83SnT54xo8wG8z+Yp0CQnJrC0qgt+QX"
    known.write_text(f"[198.51.100.1]:2222,[gate.example.com]:2222 {key} me@laptop\n")
    done = checkout.github()
    assert done.returncode == 0, done.stderr
    lines = checkout.state["variable"]["production"]["SLIPWAY_KNOWN_HOSTS"].splitlines()
    assert lines == [*KNOWN_HOSTS.splitlines()[:2], f"[198.51.100.1]:2222 {key}", *KNOWN_HOSTS.splitlines()[2:]]
    assert "allowed on [198.51.100.1]:2222" in done.stdout
    assert "restrict,port-forwarding ssh-ed25519 " in done.stdout


def test_a_second_run_makes_nothing_and_a_rotation_only_the_environments_keys(checkout: Checkout) -> None:
    checkout.github()
    before = checkout.state
    again = checkout.github()
    assert again.returncode == 0, again.stderr
    assert "set the" not in again.stdout
    assert {what: checkout.state[what] for what in ("secret", "variable", "environments")} == {
        what: before[what] for what in ("secret", "variable", "environments")
    }
    checkout.github(ROTATE="1")
    after = checkout.state["secret"]
    assert after["production"]["SLIPWAY_SSH_KEY"] != before["secret"]["production"]["SLIPWAY_SSH_KEY"]
    assert after["repository"]["COSIGN_PRIVATE_KEY"] == before["secret"]["repository"]["COSIGN_PRIVATE_KEY"]


def test_keys_that_the_inventory_has_are_not_asked_for_again(checkout: Checkout) -> None:
    checkout.github()
    variables = checkout.state["variable"]
    checkout.inventory(
        host_deploy_keys=[variables["production"]["SLIPWAY_SSH_KEY_PUBLIC"]],
        host_status_keys=[variables["repository"]["SLIPWAY_STATUS_KEY_PRODUCTION_PUBLIC"]],
    )
    assert "The hosts know the keys already" in checkout.github().stdout


def test_a_plan_without_reviewers(checkout: Checkout) -> None:
    checkout.plan("pro")
    done = checkout.github()
    assert done.returncode == 0, done.stderr
    assert "HTTP 422" in done.stdout
    assert "production is deployed by hand" in done.stdout
    state = checkout.state
    assert state["variable"]["repository"]["SLIPWAY_PRODUCTION"] == "by-hand"
    assert state["environments"]["production"]["branches"] == ["main"]
    assert "SLIPWAY_SSH_KEY" in state["secret"]["production"]


def test_a_plan_without_environments(checkout: Checkout) -> None:
    checkout.plan("free")
    done = checkout.github()
    assert done.returncode == 0, done.stderr
    assert "no environments on this plan" in done.stdout
    state = checkout.state
    assert set(state["secret"]) == set(state["variable"]) == {"repository"}
    assert {"SLIPWAY_SSH_KEY_PRODUCTION", "SLIPWAY_STATUS_KEY_PRODUCTION"} <= set(state["secret"]["repository"])
    assert state["variable"]["repository"]["SLIPWAY_URL_PRODUCTION"] == "https://www.example.com"
    assert state["variable"]["repository"]["SLIPWAY_PRODUCTION"] == "by-hand"


def test_an_environment_that_is_there_keeps_its_rules(checkout: Checkout) -> None:
    own = {"protection_rules": [{"type": "required_reviewers", "reviewers": ["others"]}], "branches": ["release/*"]}
    checkout.plan("public", environments={"production": own})
    done = checkout.github()
    assert "stays as it is" in done.stdout
    assert checkout.state["environments"]["production"] == own
    assert checkout.state["variable"]["repository"]["SLIPWAY_PRODUCTION"] == "reviewers"


def test_a_production_that_waits_for_nobody_stays_so(checkout: Checkout) -> None:
    checkout.plan("pro", variable={"repository": {"SLIPWAY_PRODUCTION": "automatic"}})
    assert "by hand" not in checkout.github().stdout
    assert checkout.state["variable"]["repository"]["SLIPWAY_PRODUCTION"] == "automatic"


def test_without_gh_it_says_what_to_paste_and_where(checkout: Checkout) -> None:
    checkout.plan("public", logged_in=False)
    done = checkout.github()
    assert done.returncode == 0, done.stderr
    folder = checkout.root / "state/slipway/acme/shop"
    key = folder / "production/secrets/SLIPWAY_SSH_KEY"
    assert str(key) in done.stdout
    assert "https://github.com/acme/shop/settings/environments" in done.stdout
    assert "https://github.com/acme/shop/settings/secrets/actions" in done.stdout
    assert f"rm -r {folder}" in done.stdout
    private = key.read_text()
    assert "PRIVATE KEY" in private
    assert private.splitlines()[1] not in done.stdout
    assert {file.stat().st_mode & 0o077 for file in folder.rglob("*") if file.is_file()} == {0}
    assert all(call[0] == "auth" for call in checkout.state["calls"])

    assert str(key) in checkout.github().stdout
    assert key.read_text() == private, "a second run makes no other key"

    keys = {
        name: (folder / file).read_text()
        for name, file in {
            "host_deploy_keys": "production/variables/SLIPWAY_SSH_KEY_PUBLIC",
            "host_status_keys": "repository/variables/SLIPWAY_STATUS_KEY_PRODUCTION_PUBLIC",
        }.items()
    }
    checkout.inventory(**{name: [key] for name, key in keys.items()})
    shutil.rmtree(folder)
    assert checkout.github().returncode == 0
    assert list(folder.rglob("*secrets/*")) == [], "what was pasted and removed is not made anew"


def test_without_cosign_the_rest_is_done(checkout: Checkout) -> None:
    (checkout.programs / "cosign").unlink()
    # None of this machine's either.
    path = ":".join(folder for folder in os.environ["PATH"].split(":") if not Path(folder, "cosign").exists())
    done = checkout.github(PATH=f"{checkout.programs}:{path}")
    assert done.returncode == 1
    assert "Install cosign" in done.stderr
    assert "SLIPWAY_SSH_KEY" in checkout.state["secret"]["production"]
    assert "slipway provision production" in done.stdout


@pytest.mark.parametrize(
    ("remote", "said"),
    [
        (None, "no remote `origin`"),
        ("https://user:hunter2@gitlab.example.com/acme/shop.git", "is not at github.com"),
        ("git@github.com.example.org:acme/shop.git", "is not at github.com"),
    ],
)
def test_a_remote_that_is_not_githubs(checkout: Checkout, remote: str | None, said: str) -> None:
    command = ["remove", "origin"] if remote is None else ["set-url", "origin", remote]
    subprocess.run(["git", "-C", checkout.root, "remote", *command], check=True)
    refused(checkout, "production", said)


@pytest.mark.parametrize(
    "remote",
    ["https://github.com/acme/shop", "https://t@github.com/acme/shop.git", "ssh://git@github.com/acme/shop.git"],
)
def test_every_form_of_githubs_remote(checkout: Checkout, remote: str) -> None:
    subprocess.run(["git", "-C", checkout.root, "remote", "set-url", "origin", remote], check=True)
    assert find_repository(checkout.root) == "acme/shop"


@pytest.mark.parametrize("environment", ["local", "nowhere", "../production"])
def test_an_environment_that_is_not_there(checkout: Checkout, environment: str) -> None:
    refused(checkout, environment, "slipway github production")


def test_a_host_that_cannot_be_reached(checkout: Checkout) -> None:
    checkout.ssh.answers({"192.0.2.2": (255, "Host key verification failed."), "cat": (0, HOST_KEYS)})
    refused(checkout, "production", "www2 cannot be reached as ops@192.0.2.2: Host key verification failed.")


def test_somebody_who_may_not_administer_the_repository(checkout: Checkout) -> None:
    checkout.plan("public", admin=False)
    refused(checkout, "production", "may not administer acme/shop")


def refused(checkout: Checkout, environment: str, said: str) -> None:
    """It fails, says why, shows no password, and nothing was touched."""
    done = checkout.github(environment)
    assert done.returncode == 1
    assert said in done.stderr
    assert "hunter2" not in done.stderr
    state = checkout.state
    assert (state["secret"], state["variable"], state["environments"]) == ({}, {}, {})
    assert not (checkout.root / "state").exists()
