"""Many files in one call: the content, the result, and the files that stay as they are."""

import grp
import json
import os
import pwd
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.ansible.conftest import ANSIBLE

ME = {"owner": pwd.getpwuid(os.geteuid()).pw_name, "group": grp.getgrgid(os.getegid()).gr_name}


def run(folder: Path, *, status: int = 0, check: bool = False, **arguments: Any) -> dict[str, Any]:
    """Run the module as Ansible runs it, with a hostile umask."""
    for entry in arguments.get("files", []) + arguments.get("directories", []):
        entry.update(ME, path=str(folder / entry["path"]))
    for option in ("purge", "absent"):
        arguments[option] = [str(folder / name) for name in arguments.get(option, [])]
    arguments |= {"_ansible_remote_tmp": str(folder.parent), "_ansible_keep_remote_files": False}
    program = (
        "import sys, runpy; from ansible.module_utils.testing import patch_module_args; import json\n"
        "with patch_module_args(json.load(sys.stdin)): runpy.run_path(sys.argv[1], run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(ANSIBLE / "library/managed_files.py")],
        input=json.dumps(arguments | {"_ansible_check_mode": check}),
        capture_output=True,
        text=True,
        check=False,
        umask=0o077,
    )
    assert done.returncode == status, done.stdout + done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    result["names"] = [os.path.relpath(path, folder) for path in result.get("paths", [])]
    return result


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "etc").mkdir()
    return tmp_path / "etc"


def modes(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.stat().st_mode & 0o7777 for path in folder.rglob("*")}


def wanted() -> dict[str, Any]:
    return {
        "directories": [{"path": "top", "mode": "2750"}, {"path": "high/er", "mode": "0700"}],
        "files": [
            {"path": "top/a", "content": "one\n\n"},
            {"path": "new/folder/b", "content": "größer", "mode": "0755"},
        ],
    }


def test_they_are_written(folder: Path) -> None:
    assert run(folder, **wanted())["names"] == ["top", "high/er", "top/a", "new/folder/b"]
    assert (folder / "top/a").read_text() == "one\n\n"
    assert (folder / "new/folder/b").read_text() == "größer"
    assert modes(folder) == {
        **{"top": 0o2750, "top/a": 0o644, "high": 0o755, "high/er": 0o700},
        **{"new": 0o755, "new/folder": 0o755, "new/folder/b": 0o755},
    }


def test_a_second_time_changes_nothing(folder: Path) -> None:
    run(folder, **wanted())
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    result = run(folder, **wanted())
    assert (result["changed"], result["paths"], result["diff"]) == (False, [], [])
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_only_what_differs_changes_and_is_shown(folder: Path) -> None:
    run(folder, **wanted())
    (folder / "top/a").write_text("another")
    (folder / "new/folder/b").chmod(0o700)
    result = run(folder, **wanted())
    assert result["names"] == ["top/a", "new/folder/b"]
    text, mode = result["diff"]
    assert (text["before"], text["after"]) == ("another", "one\n\n")
    assert (mode["before"]["mode"], mode["after"]["mode"]) == ("0700", "0755")


def test_a_dry_run_says_the_same_and_touches_nothing(folder: Path) -> None:
    assert run(folder, check=True, **wanted())["names"] == ["top", "high/er", "top/a", "new/folder/b"]
    assert list(folder.iterdir()) == []
    run(folder, **wanted())
    (folder / "top/a").write_text("another")
    (folder / "top").chmod(0o700)
    assert run(folder, check=True, purge=["new"], **wanted())["names"] == ["top", "top/a"]
    assert (folder / "top/a").read_text() == "another"
    assert (folder / "top").stat().st_mode & 0o777 == 0o700


def test_a_link_is_replaced_not_followed(folder: Path) -> None:
    (folder / "other").write_text("not ours")
    (folder / "a").symlink_to("other")
    run(folder, files=[{"path": "a", "content": "ours"}])
    assert (folder / "other").read_text() == "not ours"
    assert not (folder / "a").is_symlink()


def test_nothing_changes_unless_every_file_is_valid(folder: Path) -> None:
    files = [
        {"path": "good", "content": "{}"},
        {"path": "bad", "content": "{", "validate": "python3 -m json.tool %s"},
    ]
    result = run(folder, status=1, files=files)
    assert f"{folder}/bad would not be valid, so nothing was changed. python3 -m json.tool" in result["msg"]
    assert "Expecting property name" in result["msg"]
    assert list(folder.iterdir()) == []


def test_what_nobody_asked_for_is_removed(folder: Path) -> None:
    run(folder, **wanted())
    (folder / "top/old").write_text("old")
    (folder / "top/tree/below").mkdir(parents=True)
    (folder / "top/link").symlink_to(folder / "new")
    (folder / "top/__pycache__").mkdir()
    (folder / "beside").touch()
    more: dict[str, Any] = {"purge": ["top"], "keep": ["__pycache__"]}
    assert run(folder, check=True, **more, **wanted())["names"] == ["top/link", "top/old", "top/tree"]
    result = run(folder, **more, **wanted())
    assert result["names"] == ["top/link", "top/old", "top/tree"]
    assert result["diff"][1]["before"] == "old"
    assert {path.name for path in (folder / "top").iterdir()} == {"a", "__pycache__"}
    assert (folder / "new/folder/b").exists()
    assert (folder / "beside").exists()


def test_a_file_where_a_directory_is_needed_is_named(folder: Path) -> None:
    (folder / "top").touch()
    assert f"{folder}/top" in run(folder, status=1, **wanted())["msg"]


def test_absent_files_are_removed_and_their_content_is_not_shown(folder: Path) -> None:
    (folder / "credentials").write_text("secret")
    arguments: dict[str, Any] = {"absent": ["credentials", "nowhere"]}
    assert run(folder, check=True, **arguments)["names"] == ["credentials"]
    assert (folder / "credentials").exists()
    result = run(folder, **arguments)
    assert result["names"] == ["credentials"]
    assert "secret" not in str(result)
    assert not (folder / "credentials").exists()
    assert not run(folder, **arguments)["changed"]
