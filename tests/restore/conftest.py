"""Somebody's project on a host with data, or with a data host of its own, and a host whose SSH server keeps its backups."""

import json
import subprocess
import urllib.request
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
    data: Machine
    """The host with PostgreSQL: `host`, or one of its own."""

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

    def status(self, name: str = "www1") -> dict[str, Any]:
        """What a host tells of itself."""
        answer: dict[str, Any] = json.loads(self.slipway("status", "production", "--json"))[name]
        return answer

    def backup(self) -> None:
        """Make a backup of the data; its failure is the test's."""
        self.data.shell("systemctl start backup@nightly")
        found = self.status(self.data.name)["backup"]["backup"]
        assert found["state"] == "ok", found

    def new_machine(self, machine: Machine) -> None:
        """Make a host, or remove it with its data and make another: the same name, a new address."""
        places = {"app": self.host, "data": self.data}
        machine.hosts.down(machine.name)
        machine.up(*(group for group, place in places.items() if place is machine))
        described = {
            group: yaml.safe_load(file.read_text())[group]["hosts"][place.name]
            for group, place in places.items()
            if (file := place.hosts.folder / place.name / "inventory.yml").exists()
        }
        inventory = {
            group: {
                "hosts": {places[group].name: {name: values[name] for name in values if name.startswith("ansible_")}}
            }
            for group, values in described.items()
        }
        (self.folder / "deploy/production/hosts.yml").write_text(yaml.safe_dump(inventory))
        self.write_variables(host_deploy_keys=described["app"]["host_deploy_keys"])
        if self.data is not self.host and machine is self.data:
            self.write_variables(data_address=machine.address)

    def write_variables(self, **changed: object) -> None:
        """Change variables of the production."""
        file = self.folder / "deploy/production/group_vars/all.yml"
        values = yaml.safe_load(file.read_text()) if file.exists() else {}
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(yaml.safe_dump(values | changed))

    def write(self, *notes: str) -> None:
        """Have the app keep notes."""
        for note in notes:
            self._request(note, "POST")

    def notes(self) -> dict[str, list[str]]:
        """The app's notes, by where they are kept."""
        found: dict[str, list[str]] = self._request("")
        return found

    def _request(self, path: str, method: str = "GET") -> Any:
        # A proxy of the environment is not for 127.0.0.1.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(urllib.request.Request(f"{self.url}/{path}", method=method), timeout=20) as answer:
            return json.loads(answer.read())

    @property
    def url(self) -> str:
        """Where it serves."""
        return self.host.hosts.url(self.host.name)


def produce(factory: pytest.TempPathFactory, *, data: str) -> Iterator[Shop]:
    """Yield a production whose data are on the host of that name and backed up to another host; nothing stays of it."""
    installed = install(factory.mktemp("installed"))
    folder = shop.write(factory.mktemp("shop"))
    key = factory.mktemp("store") / "backup_key"
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SLIPWAY_CHECKOUT", raising=False)
        project = Project.find(folder).id
    hosts = LocalHosts(key.parent / "hosts", project)
    store, host = Store(hosts, "store"), Machine(hosts, "www1")
    made = Shop(installed, folder, host, host if data == host.name else Machine(hosts, data))
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
        made.new_machine(host)
        if made.data is not host:
            made.write_variables(**shop.DATA_VARIABLES)
            made.new_machine(made.data)
        made.slipway("provision", "production")
        yield made
    finally:
        for name in {"www1", data, "store"}:
            hosts.down(name)
        images = docker("images", f"slipway-app-{project}", "--format={{.Repository}}:{{.Tag}}").split()
        if images:
            docker("image", "rm", *images)


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A production with app and data on one host."""
    yield from produce(tmp_path_factory, data="www1")


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A production with a data host of its own."""
    yield from produce(tmp_path_factory, data="db1")
