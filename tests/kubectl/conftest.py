"""A project with one environment in a cluster, which a stand-in for kubectl plays."""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from slipway.controller import inventory
from slipway.controller.cli import main

HERE = Path(__file__).parent
HOSTS: dict[str, Any] = {
    "engine": "kubernetes",
    "kubernetes_context": "production",
    "kubernetes_namespace": "shop",
}


def image(number: int) -> str:
    """Return one of several images."""
    return f"registry.example.com/shop@sha256:{str(number) * 64}"


def manifest(kind: str, name: str) -> dict[str, Any]:
    """Return an object of the overlay."""
    labels = {"app.kubernetes.io/name": "app", "app.kubernetes.io/component": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "app", "image": "app"}]}}
    return {"kind": kind, "metadata": {"name": name, "labels": dict(labels)}, "spec": {"template": template}}


OBJECTS = [manifest("Job", "migrate"), *(manifest("Deployment", name) for name in ("web", "worker", "beat"))]


@dataclass
class Shop:
    """The project, and its cluster."""

    root: Path
    state_file: Path
    capture: pytest.CaptureFixture[str]

    @property
    def state(self) -> dict[str, Any]:
        """What the cluster has."""
        state: dict[str, Any] = json.loads(self.state_file.read_text())
        return state

    def set(self, **values: Any) -> None:
        """Change what the cluster has."""
        self.state_file.write_text(json.dumps(self.state | values))

    def hosts(self, **variables: Any) -> None:
        """Write the inventory."""
        hosts = {"app": {"hosts": {"cluster": variables}}}
        (self.root / "deploy/production/hosts.yml").write_text(yaml.safe_dump(hosts))

    def overlay(self, *objects: dict[str, Any]) -> None:
        """Write the overlay."""
        folder = self.root / "deploy/production/kubernetes"
        folder.mkdir(exist_ok=True)
        (folder / "objects.yaml").write_text("\n---\n".join(map(json.dumps, objects)))
        (folder / "kustomization.yaml").write_text('{"resources": ["objects.yaml"]}\n')

    def slipway(self, *words: str) -> tuple[int, str]:
        """Run the tool. Returns its exit status, and what it printed."""
        with pytest.raises(SystemExit) as ended:
            main(words)
        printed = self.capture.readouterr()
        return int(ended.value.code or 0), printed.out + printed.err

    def deploy(self, number: int) -> str:
        """Deploy one of several images, and return its release."""
        status, printed = self.slipway("deploy", "production", "--image", image(number))
        assert status == 0, printed
        return self.live()

    def live(self) -> str:
        """Return what `slipway status` says is live."""
        status, printed = self.slipway("status", "production", "--json")
        assert status == 0, printed
        return str(json.loads(printed)["production"]["live"])

    def changes(self) -> list[str]:
        """Return the commands that changed something, or waited, and forget all."""
        state = self.state
        self.set(calls=[])
        reads = ("get", "kustomize", "config", "auth", "logs")
        calls = [words for words in state["calls"] if words[0] not in reads and "--dry-run=server" not in words]
        return [" ".join("FOLDER" if word.startswith("/") else word for word in words) for words in calls]

    def images(self) -> dict[str, str]:
        """Return the image of each Deployment."""
        state, found = self.state, {}
        number = "deployment.kubernetes.io/revision"
        numbers = {each["metadata"]["name"]: each["metadata"]["annotations"][number] for each in state["deployments"]}
        for each in state["replicasets"]:
            name = each["metadata"]["ownerReferences"][0]["name"]
            if numbers.get(name) == each["metadata"]["annotations"][number]:
                found[name] = each["spec"]["template"]["spec"]["containers"][0]["image"]
        return found


def read_quickly(sources: list[Path]) -> inventory.Hosts:
    """Read hosts.yml without Ansible, which takes a second for each verb. test_inventory.py has Ansible read it."""
    hosts: inventory.Hosts = yaml.safe_load(sources[0].read_text())["app"]["hosts"]
    return hosts


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Shop:
    """The project, of which nothing is deployed yet."""
    programs, state_file = tmp_path / "programs", tmp_path / "state.json"
    programs.mkdir()
    (programs / "kubectl").write_text(f'#!/bin/sh\nexec {sys.executable} -IS {HERE / "kubectl"} "$@"\n')
    (programs / "kubectl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("KUBECTL_STATE", str(state_file))
    monkeypatch.setenv("COLUMNS", "400")
    empty: dict[str, list[Any]] = {
        name: [] for name in ("calls", "deployments", "replicasets", "pods", "events", "jobs")
    }
    state_file.write_text(json.dumps({**empty, "fails": {}, "logs": ""}))
    root = tmp_path / "shop"
    (root / "deploy/production").mkdir(parents=True)
    monkeypatch.chdir(root)
    monkeypatch.setattr(inventory, "read", read_quickly)
    made = Shop(root, state_file, capfd)
    made.hosts(**HOSTS)
    made.overlay(*OBJECTS)
    return made
