"""The module that removes units of former processes and jobs, with a systemctl that records its calls."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tests.ansible.conftest import ANSIBLE

PATTERNS = ["app-*@.service", "job-*@.service", "job-*.service", "job-*.timer"]
OURS = "# Managed by Slipway. A unit.\n[Service]\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "system"
    folder.mkdir()
    for name in ("app-worker.1@.service", "app-worker.2@.service", "job-a.service", "job-a@.service", "job-a.timer"):
        (folder / name).write_text(OURS)
    (folder / "app-worker.2@.service.d").mkdir()
    (folder / "app-worker.2@.service.d/30-settings.conf").write_text(OURS)
    (folder / "app@.service").write_text(OURS)
    (folder / "app-sync@.service").write_text("[Service]\n")
    return folder


def run(folder: Path, current: list[str], *, check: bool = False, systemctl: str = "exit 0") -> dict[str, Any]:
    programs = folder.parent / "bin"
    programs.mkdir(exist_ok=True)
    (programs / "systemctl").write_text(f'#!/bin/sh\necho "$@" >> "{folder.parent}/calls"\n{systemctl}\n')
    (programs / "systemctl").chmod(0o755)
    arguments = {"folder": str(folder), "current": current, "patterns": PATTERNS, "_ansible_check_mode": check}
    done = subprocess.run(
        [sys.executable, str(ANSIBLE / "library/obsolete_units.py")],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": arguments}),
        env=os.environ | {"PATH": f"{programs}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def calls(folder: Path) -> list[str]:
    file = folder.parent / "calls"
    return file.read_text().splitlines() if file.exists() else []


def test_a_smaller_count_removes_the_last_template(folder: Path) -> None:
    current = ["app-worker.1@.service", "job-a.service", "job-a@.service", "job-a.timer"]
    result = run(folder, current)
    assert result["changed"]
    assert result["removed"] == ["app-worker.2@.service"]
    assert calls(folder) == ["stop app-worker.2@*.service"]
    assert not (folder / "app-worker.2@.service").exists()
    assert not (folder / "app-worker.2@.service.d").exists()
    assert (folder / "app-worker.1@.service").exists()


def test_a_timer_is_disabled_and_stopped_before_its_services(folder: Path) -> None:
    run(folder, ["app-worker.1@.service", "app-worker.2@.service"])
    assert calls(folder) == ["disable job-a.timer", "stop job-a.timer job-a.service job-a@*.service"]
    assert not list(folder.glob("job-*"))


def test_units_that_are_not_slipways_stay(folder: Path) -> None:
    result = run(folder, [])
    assert "app-sync@.service" not in result["removed"]
    assert (folder / "app-sync@.service").exists()
    assert (folder / "app@.service").exists()


def test_nothing_obsolete_is_no_change_and_no_call(folder: Path) -> None:
    current = [path.name for path in folder.iterdir()]
    result = run(folder, current)
    assert not result["changed"]
    assert calls(folder) == []


def test_check_mode_removes_nothing(folder: Path) -> None:
    before = sorted(folder.rglob("*"))
    result = run(folder, [], check=True)
    assert result["changed"]
    assert sorted(folder.rglob("*")) == before
    assert calls(folder) == []


def test_a_unit_that_cannot_be_stopped_stays(folder: Path) -> None:
    result = run(folder, [], systemctl='case "$1" in stop) echo "Job failed" >&2; exit 1 ;; esac')
    assert result["failed"]
    assert "Job failed" in result["msg"]
    assert (folder / "job-a.service").exists()


@pytest.mark.parametrize(
    ("current", "patterns", "runs"),
    [
        (["app-worker.1@.service", "app-worker.2@.service"], ["app-worker*@.service"], False),
        (["app-worker.1@.service"], ["app-worker*@.service"], True),
        ([], ["nginx-acme*.service", "nginx-acme.timer"], False),
        ([], ["nginx-acme*.service", "job-a.timer"], True),
        ([], ["app-worker.2@.service.d"], True),
    ],
)
def test_the_module_runs_only_where_a_unit_may_be_obsolete(
    folder: Path,
    action: Callable[[str], ModuleType],
    monkeypatch: pytest.MonkeyPatch,
    current: list[str],
    patterns: list[str],
    runs: bool,
) -> None:
    module = action("obsolete_units")

    def query(_action: object, argv: list[str]) -> dict[str, Any]:
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        return {"rc": done.returncode, "stdout": done.stdout.rstrip()}

    monkeypatch.setattr(module, "query", query)
    args = {"folder": str(folder), "current": current, "patterns": patterns}
    task = SimpleNamespace(args=args, check_mode=True, async_val=0, action="obsolete_units", diff=False)
    connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir=None))
    plugin = module.ActionModule(task, connection, None, None, None, None)
    monkeypatch.setattr(plugin, "_execute_module", lambda **_: {"changed": True})
    assert plugin.run(None, {})["changed"] is runs
    monkeypatch.setattr(module, "query", lambda *_: {"rc": 1, "stdout": ""})
    assert plugin.run(None, {})["changed"], "what cannot be listed is the module's to report"
