"""Which project and which environment a verb is about, and what it says when there is none."""

import json
from pathlib import Path

import pytest

from slipway.controller.playbook import Playbook, sources
from slipway.controller.project import Project, ProjectError, environments
from tests.wheel import write_shop
from tools.checkout import ROOT


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("SLIPWAY_CHECKOUT", raising=False)
    return Project.find(write_shop(tmp_path / "shop"))


def local_host(project: Project) -> Path:
    """Write what `slipway up` writes when the host runs."""
    file = project.cache / "hosts/local/inventory.yml"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"app": {"hosts": {"local": {"ansible_host": "127.0.0.1", "ansible_port": 2222}}}}))
    return file


@pytest.mark.parametrize("below", ["", "src/shop", "deploy/production"])
def test_a_project_is_found_from_any_folder_of_it(shop: Project, below: str) -> None:
    folder = shop.root / below
    folder.mkdir(parents=True, exist_ok=True)
    assert Project.find(folder) == shop


def test_a_monorepo_has_the_nearest_one(shop: Project) -> None:
    inner = write_shop(shop.root / "services/api")
    assert Project.find(inner).root == inner
    assert Project.find(shop.root / "services") == shop


def test_a_fork_of_this_repository_is_a_project() -> None:
    project = Project.find(ROOT / "app")
    assert (project.root, project.inventories) == (ROOT, ROOT / "ansible/inventories")
    assert project.cache == ROOT / ".cache"


@pytest.mark.parametrize(
    "files",
    [
        pytest.param([], id="nothing"),
        pytest.param(["deploy/README.md"], id="a folder deploy of somebody else"),
        pytest.param(["deploy/hosts.yml"], id="no folder per environment"),
        pytest.param(["deploy"], id="a file"),
    ],
)
def test_without_an_environment_there_is_no_project(tmp_path: Path, files: list[str]) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(ProjectError, match="slipway init"):
        Project.find(tmp_path)


@pytest.mark.parametrize("name", ["prod", "", "..", "../production", "Production", "production/", "-v"])
def test_an_environment_is_one_of_the_folders(shop: Project, name: str) -> None:
    with pytest.raises(ProjectError, match="There is: local, production"):
        shop.environment(name)


def test_a_link_that_leads_nowhere_yet_is_an_environment(tmp_path: Path) -> None:
    (tmp_path / "local").mkdir()
    (tmp_path / "local/hosts.yml").symlink_to("../nowhere.yml")
    assert environments(tmp_path) == ["local"]


def test_nothing_is_kept_in_somebodys_repository(shop: Project) -> None:
    assert not shop.cache.is_relative_to(shop.root)
    assert not shop.images.is_relative_to(shop.root)


def test_two_projects_of_one_name_do_not_meet(shop: Project, tmp_path: Path) -> None:
    other = Project.find(write_shop(tmp_path / "other/shop"))
    assert (other.id, other.cache) != (shop.id, shop.cache)


def test_before_up_there_is_no_local_host(shop: Project) -> None:
    with pytest.raises(ProjectError, match="slipway up"):
        sources(shop, "local")


def test_without_deploy_local_the_host_stands_for_the_vm(shop: Project) -> None:
    """Its variables are production's, but for addresses, keys and names."""
    (shop.inventories / "production/group_vars/all.yml").write_text(
        "nginx_server_names: [shop.example.com]\nnginx_tls: files\nhost_admin: root\napp_memory_max: 300M\n"
        "data_address: 10.0.0.2\n"
    )
    (shop.inventories / "production/secrets.example.yml").write_text("app_secrets:\n  SESSION_KEY: change-me\n")
    folder, reached = sources(shop, "local") if local_host(shop) else []
    hosts = json.loads((folder / "hosts.yml").read_text().partition("\n")[2])
    values = hosts["app"]["hosts"]["local"]
    assert list(hosts) == ["app"]
    assert values["app_memory_max"] == "300M"
    assert values["nginx_server_names"] == ["localhost", "127.0.0.1"]
    assert values["app_secrets"] == {"SESSION_KEY": "change-me"}
    assert values["release_source"] == str(shop.root)
    assert values["host_admin"] == "admin"
    assert not {"nginx_tls", "data_address", "ansible_host", "host_deploy_keys"} & set(values)
    assert (folder.name, reached.name) == ("local", "inventory.yml")


def test_the_data_of_a_vm_are_on_the_local_host_as_well(shop: Project) -> None:
    hosts = shop.inventories / "production/hosts.yml"
    hosts.write_text(hosts.read_text() + "data:\n  hosts:\n    db1:\n")
    local_host(shop)
    folder, _ = sources(shop, "local")
    assert list(json.loads((folder / "hosts.yml").read_text().partition("\n")[2])) == ["app", "data"]


def test_deploy_local_is_used_as_it_stands(shop: Project) -> None:
    (shop.inventories / "local").mkdir()
    (shop.inventories / "local/hosts.yml").write_text("app:\n  hosts:\n    local:\n")
    reached = local_host(shop)
    assert sources(shop, "local") == [shop.inventories / "local", reached]


def test_what_follows_two_dashes_goes_to_ansible(shop: Project) -> None:
    command = Playbook("deploy", "deploy.yml", shop, "production", ["-e", "release_image=a b"]).command()
    assert command[1:4] == [f"--inventory={shop.inventories}/production", "-e", "release_image=a b"]
    assert command[-1].endswith("/ansible/deploy.yml")
