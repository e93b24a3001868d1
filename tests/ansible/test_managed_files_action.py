"""The comparison before the module managed_files: whatever the module would change, the action sees as a difference."""

import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tests.ansible.test_managed_files import ME

RAN = {"changed": True, "paths": ["by the module"]}


@pytest.fixture
def managed(action: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Run the action with a shell here as the host's, and a module that only says that it ran."""
    module = action("managed_files")

    def query(_action: object, argv: list[str]) -> dict[str, Any]:
        done = subprocess.run(["sh", "-s"], input=f"LC_ALL=C exec {shlex.join(argv)}\n", capture_output=True, text=True)
        assert not done.stderr
        return {"stdout": done.stdout.rstrip("\r\n")}

    monkeypatch.setattr(module, "query", query)

    def run(**arguments: Any) -> dict[str, Any]:
        task = SimpleNamespace(args=arguments, check_mode=True, async_val=0, action="managed_files", diff=False)
        connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir=None))
        plugin = module.ActionModule(task, connection, None, None, None, None)
        monkeypatch.setattr(plugin, "_execute_module", lambda **_: dict(RAN))
        result: dict[str, Any] = plugin.run(None, {})
        return result

    return run


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    top = tmp_path / "it's"
    (top / "below").mkdir(parents=True)
    (top / "below").chmod(0o755)
    (top / "file").write_text("tést\n", encoding="utf-8")
    (top / "empty").touch()
    (top / "below/secret").write_text("s")
    for name, mode in {"file": 0o644, "empty": 0o644, "below/secret": 0o600}.items():
        (top / name).chmod(mode)
    return top


def wanted(tree: Path) -> dict[str, Any]:
    return {
        "files": [
            {"path": f"{tree}/file", "content": "tést\n", **ME},
            {"path": f"{tree}/empty", "content": "", **ME},
            {"path": f"{tree}/below/secret", "content": "s", "mode": "0600", **ME},
        ],
        "directories": [{"path": f"{tree}/below", **ME}],
        "absent": [f"{tree}/gone", f"{tree}/never/there"],
        "purge": [str(tree)],
        "keep": ["kept"],
    }


def test_where_all_is_as_wanted_no_module_runs(managed: Callable[..., dict[str, Any]], tree: Path) -> None:
    (tree / "kept/deep").mkdir(parents=True)
    (tree / "kept/deep/file").touch()
    assert managed(**wanted(tree)).items() >= {"changed": False, "paths": [], "diff": []}.items()
    assert not managed(absent=[f"{tree}/gone"])["changed"]
    assert not managed(files=[], purge=[f"{tree}/no-folder"])["changed"]


def _replace_by_link(tree: Path) -> None:
    (tree / "file").rename(tree.parent / "elsewhere")
    (tree / "file").symlink_to(tree.parent / "elsewhere")


def _replace_folder_by_link(tree: Path) -> None:
    (tree / "below").rename(tree.parent / "elsewhere")
    (tree / "below").symlink_to(tree.parent / "elsewhere")


CHANGES: dict[str, Callable[[Path], object]] = {
    "content": lambda tree: (tree / "file").write_text("test\n"),
    "the end of a line": lambda tree: (tree / "file").write_bytes("tést\r\n".encode()),
    "mode of a file": lambda tree: (tree / "below/secret").chmod(0o644),
    "setuid": lambda tree: (tree / "file").chmod(0o4644),
    "mode of a folder": lambda tree: (tree / "below").chmod(0o700),
    "file is missing": lambda tree: (tree / "empty").unlink(),
    "a link": _replace_by_link,
    "a link to a folder": _replace_folder_by_link,
    "a path that should be absent": lambda tree: (tree / "gone").touch(),
    "a dead link that should be absent": lambda tree: (tree / "gone").symlink_to("nowhere"),
    "a foreign file": lambda tree: (tree / "below/foreign").touch(),
    "a foreign folder": lambda tree: (tree / "folder").mkdir(),
    "a foreign file with a name of lines": lambda tree: (tree / "a\nfound|b").touch(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_differs_is_the_modules(managed: Callable[..., dict[str, Any]], tree: Path, change: str) -> None:
    arguments = wanted(tree)
    assert not managed(**arguments)["changed"]
    CHANGES[change](tree)
    assert managed(**arguments).items() >= RAN.items()


def test_a_link_in_place_of_a_parent_is_the_modules(managed: Callable[..., dict[str, Any]], tree: Path) -> None:
    arguments = wanted(tree) | {"directories": []}
    assert not managed(**arguments)["changed"]
    _replace_folder_by_link(tree)
    assert managed(**arguments).items() >= RAN.items()


@pytest.mark.parametrize(("name", "value"), [("owner", "nobody"), ("group", "nogroup"), ("mode", "u=rw")])
def test_another_owner_and_a_mode_in_words_are_the_modules(
    managed: Callable[..., dict[str, Any]], tree: Path, name: str, value: str
) -> None:
    entry = {"path": f"{tree}/file", "content": "tést\n", **ME, name: value}
    assert managed(files=[entry]).items() >= RAN.items()


@pytest.mark.parametrize(
    "arguments", [{"fields": []}, {"files": [{"path": "/x"}]}, {"files": [{"path": "/x", "content": 5}]}, {"files": 5}]
)
def test_wrong_arguments_are_the_modules_to_name(
    managed: Callable[..., dict[str, Any]], arguments: dict[str, Any]
) -> None:
    assert managed(**arguments).items() >= RAN.items()


def test_the_defaults_are_the_modules(
    action: Callable[[str], ModuleType], library: Callable[[str], ModuleType]
) -> None:
    compared, options = action("managed_files"), library("managed_files").ARGUMENTS
    for kind, mode in (("files", compared.FILE_MODE), ("directories", compared.DIRECTORY_MODE)):
        defaults = {name: each.get("default") for name, each in options[kind]["options"].items()}
        assert defaults.items() >= {"owner": compared.OWNER, "group": compared.OWNER, "mode": mode}.items()
