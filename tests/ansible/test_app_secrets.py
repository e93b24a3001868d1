"""Secrets as files: who may read them, what changes, and the hash that is published."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.ansible.conftest import ANSIBLE


@pytest.fixture
def host(tmp_path: Path) -> Path:
    (tmp_path / "secrets").mkdir(mode=0o700)
    return tmp_path


def run(host: Path, secrets: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Run the module as Ansible runs it."""
    arguments = {
        "secrets": secrets,
        "directory": str(host / "secrets"),
        "key": str(host / "secrets.key"),
        "hash": str(host / "secrets.hash"),
        "_ansible_remote_tmp": str(host),
        "_ansible_keep_remote_files": False,
        **more,
    }
    program = (
        "import sys, runpy; from ansible.module_utils.testing import patch_module_args; import json\n"
        "with patch_module_args(json.load(sys.stdin)): runpy.run_path(sys.argv[1], run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(ANSIBLE / "library/app_secrets.py")],
        input=json.dumps(arguments),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def test_they_are_written_for_root_alone(host: Path) -> None:
    assert run(host, {"A": "one", "B": 2})["changed"]
    assert (host / "secrets/A").read_text() == "one"
    assert (host / "secrets/B").read_text() == "2"
    assert {path.stat().st_mode & 0o777 for path in [*(host / "secrets").iterdir(), host / "secrets.key"]} == {0o600}
    assert (host / "secrets.hash").stat().st_mode & 0o777 == 0o644


def test_a_second_time_changes_nothing(host: Path) -> None:
    run(host, {"A": "one"})
    before = (host / "secrets.hash").read_text()
    assert not run(host, {"A": "one"})["changed"]
    assert (host / "secrets.hash").read_text() == before


def test_the_hash_tells_that_they_changed_and_needs_the_key(host: Path, library: Callable[[str], ModuleType]) -> None:
    run(host, {"A": "one"})
    before = (host / "secrets.hash").read_text().strip()
    key = (host / "secrets.key").read_bytes()
    assert run(host, {"A": "two"})["names"] == ["A"]
    assert (host / "secrets.hash").read_text().strip() != before
    digest = library("app_secrets").digest
    assert digest(key, {"A": "one"}) == before
    assert digest(b"guessed", {"A": "one"}) != before


def test_one_that_is_gone_is_removed(host: Path) -> None:
    run(host, {"A": "one", "B": "two"})
    assert run(host, {"A": "one"})["names"] == ["B"]
    assert [path.name for path in (host / "secrets").iterdir()] == ["A"]


def test_in_check_mode_nothing_is_written(host: Path) -> None:
    run(host, {"A": "one"})
    assert run(host, {"A": "two", "B": "x"}, _ansible_check_mode=True)["names"] == ["A", "B"]
    assert [(path.name, path.read_text()) for path in (host / "secrets").iterdir()] == [("A", "one")]


def test_a_mode_that_was_changed_is_put_back(host: Path) -> None:
    run(host, {"A": "one"})
    (host / "secrets/A").chmod(0o644)
    assert run(host, {"A": "one"})["changed"]
    assert (host / "secrets/A").stat().st_mode & 0o777 == 0o600
