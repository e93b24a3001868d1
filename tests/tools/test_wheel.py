"""The wheel: everything that a deploy needs is in it, nothing of the tests, and it works without this checkout."""

import ast
import json
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from slipway import __version__
from tests.pipeline.github import Repository
from tests.wheel import MAIN, Installed, install, uv, write_shop
from tools.checkout import ROOT

# In one process, so that the wheel is installed once.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("wheel")]

OF_TESTS = ("ansible/molecule/", "ansible/inventories/", "ansible/.ansible-lint")
"""Below ansible/, what no deploy needs."""


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return install(tmp_path_factory.mktemp("installed"))


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return write_shop(tmp_path / "shop")


def test_the_wheel_has_what_a_deploy_needs(installed: Installed) -> None:
    (wheel,) = (installed.home / "dist").glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    listed = subprocess.check_output(["git", "-C", str(ROOT), "ls-files"], text=True).splitlines()
    resources = ("ansible/", "nginx/", "systemd/", "tools/base/", "tools/testhost/")
    needed = {
        f"slipway/resources/{name}" for name in listed if name.startswith(resources) and not name.startswith(OF_TESTS)
    }
    needed |= {name for name in listed if name.startswith("slipway/")}
    assert needed - names == set()
    strange = {name for name in names if ".dist-info/" not in name} - needed
    assert {name for name in strange if (ROOT / name.removeprefix("slipway/resources/")).exists()} == strange
    assert not [name for name in names if "molecule" in name or "/test_" in name or name.endswith(".pyc")]


def test_no_role_looks_for_the_package_below_its_root() -> None:
    """In a wheel the package is around the resources: __host_python_package knows."""
    texts = {path: path.read_text() for path in (ROOT / "ansible/roles").rglob("*.yml")}
    wrong = [str(path) for path, text in texts.items() if "_root ~ '/slipway/" in text]
    assert wrong == []


def test_each_library_that_the_package_imports_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {re.split(r"[<>=~]", line)[0] for line in project["dependencies"]}
    modules = {"python-dotenv": "dotenv", "pyyaml": "yaml", "ansible-core": "ansible"}
    known = {modules.get(name, name) for name in declared} | sys.stdlib_module_names | {"slipway"}
    imported = {
        name.partition(".")[0]: str(path)
        for path in (ROOT / "slipway").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        for name in names_of(node)
    }
    assert {name: path for name, path in imported.items() if name not in known} == {}


def names_of(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module] if isinstance(node, ast.ImportFrom) and node.module and not node.level else []


def test_only_the_tool_is_installed(installed: Installed) -> None:
    listed = installed.run(
        "ls", str(next(installed.environment.glob("lib/*/site-packages"))), cwd=installed.home
    ).stdout
    assert not {"molecule", "pytest", "ansiblelint", "locust", "mypy"} & set(listed.split())


def test_version_and_help(installed: Installed, tmp_path: Path) -> None:
    version = installed.slipway("version", "--json", cwd=tmp_path)
    assert set(json.loads(version.stdout)) == {"slipway", "ansible-core"}
    done = installed.slipway("--help", cwd=tmp_path)
    assert done.returncode == 0
    for verb in (
        "init",
        "up",
        "down",
        "check",
        "provision",
        "deploy",
        "rollback",
        "status",
        "logs",
        "run",
        "shell",
        "maintenance",
        "github",
    ):
        assert f" {verb} " in done.stdout
        assert installed.slipway(verb, "--help", cwd=tmp_path).returncode == 0, verb


@pytest.mark.parametrize("verb", ["up", "deploy", "status"])
def test_outside_of_a_project_init_is_named(installed: Installed, tmp_path: Path, verb: str) -> None:
    done = installed.slipway(verb, cwd=tmp_path)
    assert done.returncode == 2
    assert "slipway init" in done.stderr


def test_an_unknown_environment_names_those_that_there_are(installed: Installed, shop: Path) -> None:
    (shop / "src").mkdir()
    done = installed.slipway("deploy", "prodction", cwd=shop / "src")
    assert done.returncode == 2
    assert "There is: local, production." in done.stderr


def test_init_makes_a_project_of_a_folder(installed: Installed, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(MAIN)
    (tmp_path / "requirements.txt").write_text("fastapi\nuvicorn\n")
    done = installed.slipway("init", "--yes", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert installed.slipway("deploy", "production", "--", "--list-hosts", cwd=tmp_path).returncode == 0
    assert "slipway up" in installed.slipway("status", cwd=tmp_path).stderr


def test_verbose_prints_a_command_that_works_as_it_stands(installed: Installed, shop: Path) -> None:
    done = installed.slipway("deploy", "production", "-v", "--", "--list-hosts", cwd=shop)
    assert done.returncode == 0, done.stderr
    command = done.stdout.splitlines()[0]
    assert "ansible-playbook" in command
    by_hand = installed.run("sh", "-c", command, cwd=installed.home)
    assert by_hand.returncode == 0, by_hand.stderr
    assert "www1" in by_hand.stdout


def test_upgrade_moves_the_pin_to_the_commit_that_was_installed(
    installed: Installed, shop: Path, tmp_path: Path
) -> None:
    """From a repository, as `uv tool install git+https://...@v1.0.0` does; it has a newer version as well."""
    (tmp_path / "acme").mkdir()
    repository = Repository.of_slipway(tmp_path / "acme/slipway", "acme/slipway")
    repository.git("add", "--all")
    repository.git("commit", "--quiet", "--allow-empty", "--message=A version")
    commit = repository.git("rev-parse", "HEAD")
    repository.git("tag", f"v{__version__}")
    repository.git("tag", "--annotate", "--message=Newer", "v99.0.0")
    url = f"file://{repository.folder}"
    python = tmp_path / "tool/bin/python"
    uv(tmp_path, "venv", "--quiet", "--python", sys.executable, "tool")
    into = ("pip", "install", "--quiet", "--python", str(python))
    uv(tmp_path, *into, "--require-hashes", "--requirements", str(installed.home / "requirements.txt"))
    uv(tmp_path, *into, "--no-deps", f"git+{url}@v{__version__}")
    workflow = shop / ".github/workflows/deploy.yml"
    workflow.parent.mkdir(parents=True)
    line = "    uses: acme/slipway/.github/workflows/deploy.yml@{} # {}\n"
    workflow.write_text(f"jobs:\n  deploy: # of Slipway\n{line.format('0' * 40, 'v0.8.0')}")
    slipway = str(python.with_name("slipway"))
    check = installed.run(slipway, "upgrade", "--check", cwd=shop)
    assert f"+{line.format(commit, f'v{__version__}')}" in check.stdout, check.stderr
    done = installed.run(slipway, "upgrade", cwd=shop)
    assert done.returncode == 0, done.stderr
    assert workflow.read_text() == f"jobs:\n  deploy: # of Slipway\n{line.format(commit, f'v{__version__}')}"
    assert "## [0.9.0]" in done.stdout
    assert "v99.0.0 is there; then: slipway upgrade" in done.stdout


def test_check_names_an_image_that_is_not_there(installed: Installed, shop: Path) -> None:
    done = installed.slipway("check", "no-such-image-of-slipway:1", cwd=shop)
    assert done.returncode == 2
    assert "no-such-image-of-slipway:1" in done.stderr


def test_an_ansible_that_was_installed_by_itself_names_the_library_that_it_lacks(
    installed: Installed, tmp_path: Path
) -> None:
    """`cd ansible && ansible-playbook`, in a checkout, with no package of Slipway in its environment."""
    inventory = tmp_path / "production/hosts.yml"
    inventory.parent.mkdir()
    inventory.write_text("app: {hosts: {www1: {ansible_host: 127.0.0.1, ansible_port: 1}}}\n")
    python = tmp_path / "plain/bin/python"
    uv(tmp_path, "venv", "--quiet", "--python", sys.executable, "plain")
    (pin,) = re.findall(r"^ansible-core==\S+", (installed.home / "requirements.txt").read_text(), re.MULTILINE)
    uv(tmp_path, "pip", "install", "--quiet", "--python", str(python), pin)
    command = (str(python.with_name("ansible-playbook")), "--inventory", str(inventory.parent), "status.yml")
    without = installed.run(*command, cwd=ROOT / "ansible")
    assert without.returncode == 1
    assert f"has no python-dotenv. Type: {python} -m pip install python-dotenv" in without.stderr
    uv(tmp_path, "pip", "install", "--quiet", "--python", str(python), "python-dotenv")
    complete = installed.run(*command, cwd=ROOT / "ansible")
    assert "www1 cannot be reached as the user `deploy`" in " ".join(complete.stdout.split()), complete.stdout


def test_a_host_is_reached_as_the_inventory_says_and_its_silence_is_told(installed: Installed, shop: Path) -> None:
    hosts = "app: {hosts: {www1: {ansible_host: 127.0.0.1, ansible_port: 1, ansible_ssh_common_args: -o ConnectTimeout=2}}}\n"
    (shop / "deploy/production/hosts.yml").write_text(hosts)
    status = installed.slipway("status", "production", "--json", cwd=shop)
    assert status.returncode == 1
    assert "refused" in json.loads(status.stdout)["www1"]["error"]
    logs = installed.slipway("logs", "production", "-n", "5", "-v", cwd=shop)
    assert logs.returncode == 1
    assert logs.stdout == "ssh -p1 -o ConnectTimeout=2 deploy@127.0.0.1 'slipway logs --lines=5'\n"
    assert "cannot be reached as deploy@127.0.0.1" in logs.stderr
    shell = installed.slipway("shell", "production", "-v", cwd=shop)
    assert "root@127.0.0.1 'slipway shell'" in shell.stdout
    other = installed.slipway("logs", "production", "--host", "www2", cwd=shop)
    assert "There is: www1" in other.stderr
    assert installed.slipway("run", "production", cwd=shop).returncode == 2
