"""An environment in a cluster, as Ansible reads its inventory."""

import json
import subprocess
import sys

import pytest

from slipway.controller.image_site import read
from slipway.controller.project import Project
from slipway.controller.stand_in import write
from tests.kubectl.conftest import HOSTS, Shop, image


def slipway(*words: str) -> subprocess.CompletedProcess[str]:
    """Run the tool as a program of its own."""
    program = [sys.executable, "-c", "from slipway.controller.cli import main; main()"]
    return subprocess.run([*program, *words], capture_output=True, text=True, check=False)


def test_variables_may_be_in_group_vars_and_the_image_among_them(shop: Shop) -> None:
    folder = shop.root / "deploy/production"
    (folder / "group_vars").mkdir()
    lines = [f"{name}: {value}" for name, value in (HOSTS | {"release_image": image(2)}).items()]
    (folder / "group_vars/all.yml").write_text(
        "\n".join([*lines, "secret: !vault |", "  $ANSIBLE_VAULT;1.1;AES256", ""])
    )
    shop.hosts()
    done = slipway("deploy", "production")
    assert done.returncode == 0, done.stderr
    assert shop.images()["web"] == image(2)


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"app": {"hosts": {"cluster": HOSTS}}}),
        "app: {hosts: {cluster: {kubernetes_context: production, kubernetes_namespace: shop, 'engine' : kubernetes}}}",
    ],
)
def test_the_engine_is_found_however_it_is_written(shop: Shop, text: str) -> None:
    (shop.root / "deploy/production/hosts.yml").write_text(text)
    assert slipway("status", "production").stdout.startswith("production: empty")


def test_what_is_beside_the_overlay_is_read_without_it(shop: Shop) -> None:
    """`slipway check`, `slipway up` and CI read the whole folder, in which manifests are no inventory."""
    shop.hosts(**HOSTS, app_ready_path="/ready")
    project = Project.find(shop.root)
    values = read(project, [project.environment("production")]).values
    assert (values["app_ready_path"], values["engine"]) == ("/ready", "kubernetes")
    local = (write(project) / "hosts.yml").read_text()
    assert "/ready" in local
    assert "kubernetes_context" not in local
    assert "engine" not in local
