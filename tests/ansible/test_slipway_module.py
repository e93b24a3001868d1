"""The action that runs the engine: what it passes on."""

import importlib.util
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleActionFail

from tests.ansible.conftest import ANSIBLE


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Run the action against an engine that is a shell script, as a connection would."""
    spec = importlib.util.spec_from_file_location("slipway_action", ANSIBLE / "action_plugins/slipway.py")
    assert spec and spec.loader
    action = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(action)
    engine = tmp_path / "slipway"
    monkeypatch.setattr(action, "ENGINE", str(engine))

    def connect(command: str, sudoable: bool, in_data: bytes | None) -> dict[str, Any]:
        assert not sudoable, "a terminal mixes output and error output"
        done = subprocess.run(["sh", "-c", command], input=in_data, capture_output=True, check=False)
        return {"rc": done.returncode, "stdout": done.stdout.decode(), "stderr": done.stderr.decode()}

    def execute(script: str | None, *, check_mode: bool = False, **arguments: Any) -> dict[str, Any]:
        if script is not None:
            engine.write_text(f"#!/bin/sh\n{script}\n")
            engine.chmod(0o755)
        task = SimpleNamespace(args=arguments, check_mode=check_mode, async_val=0, action="slipway", diff=False)
        connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir=None))
        plugin = action.ActionModule(task, connection, None, None, None, None)
        monkeypatch.setattr(plugin, "_low_level_execute_command", connect)
        result: dict[str, Any] = plugin.run(None, {"inventory_dir": "/shop/deploy/staging"})
        return result

    return execute


def test_an_answer_in_json_is_parsed(run: Callable[..., dict[str, Any]]) -> None:
    result = run("""echo '{"protocol": 1}'""", command=["status", "--json"])
    assert result["answer"] == {"protocol": 1}
    assert not result["changed"]


def test_other_answers_are_text(run: Callable[..., dict[str, Any]]) -> None:
    result = run("echo 20261122T105851-3f2a9c1", command=["rollback", "--no-wait"])
    assert result["answer"] == "20261122T105851-3f2a9c1"
    assert result["changed"]


def test_the_manifest_goes_in_as_json(run: Callable[..., dict[str, Any]]) -> None:
    assert run("cat", command=["ship-begin", "x"], manifest={"a": [1]})["answer"] == {"a": [1]}


def test_arguments_arrive_as_they_are(run: Callable[..., dict[str, Any]]) -> None:
    command = ["activate", "--by", "it's $HOME; `id`", ""]
    assert run("""printf '%s\\n' "$@" end""", command=command)["answer"].split("\n") == [*command, "end"]


def test_a_failure_shows_the_error_output_and_nothing_else(run: Callable[..., dict[str, Any]]) -> None:
    with pytest.raises(AnsibleActionFail) as failed:
        run("echo out; echo 'the cause' >&2; exit 1", command=["wait", "x"])
    assert failed.value.message == "the cause"


def test_a_failure_without_output_shows_its_status(run: Callable[..., dict[str, Any]]) -> None:
    with pytest.raises(AnsibleActionFail, match="slipway wait ended with status 3"):
        run("exit 3", command=["wait", "x"])


def test_a_host_without_an_engine_is_not_provisioned(run: Callable[..., dict[str, Any]]) -> None:
    with pytest.raises(AnsibleActionFail, match=r"not provisioned.*slipway provision staging$"):
        run(None, command=["status"])


@pytest.mark.parametrize(("command", "runs"), [("status", True), ("activate", False), ("ship-begin", False)])
def test_in_check_mode_only_status_is_run(run: Callable[..., dict[str, Any]], command: str, runs: bool) -> None:
    result = run("echo ran", command=[command], check_mode=True)
    assert (result.get("answer") == "ran") is runs
    assert not result.get("changed")


def test_what_the_engine_says_beside_its_output_is_told(run: Callable[..., dict[str, Any]]) -> None:
    script = "echo 20261122T105851-3f2a9c1; echo 'mux_client: of ssh' >&2; echo 'slipway: it undoes no migration' >&2"
    result = run(script, command=["rollback", "--no-wait"])
    assert result["answer"] == "20261122T105851-3f2a9c1"
    assert result["told"] == ["it undoes no migration"]
