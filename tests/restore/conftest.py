"""Somebody's project on a host with data, and another host whose SSH server keeps its backups."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from slipway.controller.local.docker import docker
from slipway.controller.local.hosts import LocalHosts
from slipway.controller.project import Project
from tests.machine import Machine
from tests.restore import shop
from tests.wheel import Installed, install

PASSWORD = "tests-only-" + 20 * "x"


class Store(Machine):
    """The host that keeps backups."""

    def serve(self, key: Path) -> None:
        """Make its user `store`, who logs in by that key."""
        subprocess.run(["ssh-keygen", "-qt", "ed25519", "-N", "", "-f", key], check=True)
        self.copy(key.with_suffix(".pub"), "/root/backup_key.pub")
        self.shell(
            "useradd --create-home --shell /bin/sh store;"
            "install -o store -Dm 600 /root/backup_key.pub /home/store/.ssh/authorized_keys"
        )

    @property
    def repository(self) -> str:
        """Where it keeps them."""
        return f"sftp:store@{self.address}:/home/store/backups"

    @property
    def known_hosts(self) -> str:
        """Its SSH server's key."""
        words = (self.hosts.folder / self.name / "ssh_host_ed25519_key.pub").read_text().split()
        return " ".join([self.address, *words[:2]])


@dataclass(frozen=True)
class Shop:
    """The project, and its production."""

    installed: Installed
    folder: Path
    host: Machine

    def slipway(self, *words: str) -> str:
        """Run a verb. Returns what it printed; its failure is the test's."""
        done = self.installed.slipway(*words, cwd=self.folder)
        assert done.returncode == 0, f"slipway {' '.join(words)}\n{done.stdout[-6000:]}\n{done.stderr[-3000:]}"
        return done.stdout + done.stderr

    def fails(self, *words: str) -> str:
        """Run a verb that must fail. Returns what it printed, in one line."""
        done = self.installed.slipway(*words, cwd=self.folder)
        assert done.returncode == 1, done.stdout
        return " ".join((done.stdout + done.stderr).split())

    def status(self) -> dict[str, Any]:
        """What the host tells of itself."""
        answer: dict[str, Any] = json.loads(self.slipway("status", "production", "--json"))["www1"]
        return answer

    def backup(self) -> None:
        """Make a backup; its failure is the test's."""
        self.host.shell("systemctl start backup@nightly")
        found = self.status()["backup"]["backup"]
        assert found["state"] == "ok", found

    def new_machine(self) -> None:
        """Make the host, or remove it with its data and make another: the same name, a new address."""
        self.host.hosts.down(self.host.name)
        self.host.up("app", "data")
        described = yaml.safe_load((self.host.hosts.folder / "www1/inventory.yml").read_text())["app"]["hosts"]["www1"]
        values = {name: value for name, value in described.items() if name.startswith("ansible_")}
        inventory = {"app": {"hosts": {"www1": values}}, "data": {"hosts": {"www1": None}}}
        (self.folder / "deploy/production/hosts.yml").write_text(yaml.safe_dump(inventory))
        self.write_variables(host_deploy_keys=described["host_deploy_keys"])

    def write_variables(self, **changed: object) -> None:
        """Change variables of the production."""
        file = self.folder / "deploy/production/group_vars/all.yml"
        values = yaml.safe_load(file.read_text()) if file.exists() else {}
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(yaml.safe_dump(values | changed))

    @property
    def url(self) -> str:
        """Where it serves."""
        return self.host.hosts.url(self.host.name)


@pytest.fixture(scope="session")
def production(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A production with data that are backed up to another host; nothing stays of it."""
    installed = install(tmp_path_factory.mktemp("installed"))
    folder = shop.write(tmp_path_factory.mktemp("shop"))
    key = tmp_path_factory.mktemp("store") / "backup_key"
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SLIPWAY_CHECKOUT", raising=False)
        project = Project.find(folder).id
    hosts = LocalHosts(key.parent / "hosts", project)
    store, made = Store(hosts, "store"), Shop(installed, folder, Machine(hosts, "www1"))
    try:
        store.up()
        store.serve(key)
        made.write_variables(
            **shop.VARIABLES,
            backup_repository=store.repository,
            backup_known_hosts=store.known_hosts,
            backup_ssh_key=key.read_text(),
            backup_password=PASSWORD,
        )
        made.new_machine()
        made.slipway("provision", "production")
        yield made
    finally:
        hosts.down("www1")
        hosts.down("store")
        images = docker("images", f"slipway-app-{project}", "--format={{.Repository}}:{{.Tag}}").split()
        if images:
            docker("image", "rm", *images)
