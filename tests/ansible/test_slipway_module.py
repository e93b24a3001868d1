"""The module that runs the engine: what it passes on."""

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args


@pytest.fixture
def run(
    tmp_path: Path,
    library: Callable[[str], ModuleType],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., dict[str, Any]]:
    """Run the module against an engine that is a shell script."""

    def execute(script: str | None, **arguments: Any) -> dict[str, Any]:
        engine = tmp_path / "slipway"
        if script is not None:
            engine.write_text(f"#!/bin/sh\n{script}\n")
            engine.chmod(0o755)
        module = library("slipway")
        monkeypatch.setattr(module, "ENGINE", str(engine))
        with patch_module_args(arguments), pytest.raises(SystemExit):
            module.main()
        result: dict[str, Any] = json.loads(capsys.readouterr().out)
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


def test_a_failure_says_what_the_engine_said_and_nothing_else(run: Callable[..., dict[str, Any]]) -> None:
    result = run("echo out; echo 'the cause' >&2; exit 1", command=["wait", "x"])
    assert result["failed"]
    assert result["msg"] == "the cause"


def test_a_host_without_an_engine_is_not_provisioned(run: Callable[..., dict[str, Any]]) -> None:
    assert "not provisioned" in run(None, command=["status"])["msg"]


@pytest.mark.parametrize(("command", "runs"), [("status", True), ("activate", False), ("ship-begin", False)])
def test_in_check_mode_only_the_status_is_asked(run: Callable[..., dict[str, Any]], command: str, runs: bool) -> None:
    result = run("echo ran", command=[command], _ansible_check_mode=True)
    assert (result.get("answer") == "ran") is runs
    assert not result["changed"]
