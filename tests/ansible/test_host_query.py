"""The action that reads on the host."""

import subprocess
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest


@pytest.fixture
def query(action: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run the action, with a shell here as the host's."""

    def connect(command: str, in_data: bytes) -> dict[str, Any]:
        done = subprocess.run(["sh", "-c", command], input=in_data, capture_output=True, check=False)
        return {"rc": done.returncode, "stdout": done.stdout.decode(), "stderr": done.stderr.decode()}

    def execute(*argv: str) -> dict[str, Any]:
        task = SimpleNamespace(args={"argv": list(argv)}, check_mode=True, async_val=0, action="host_query", diff=False)
        connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir=None))
        plugin = action("host_query").ActionModule(task, connection, None, None, None, None)
        monkeypatch.setattr(plugin, "_low_level_execute_command", connect)
        result: dict[str, Any] = plugin.run(None, {})
        return result

    return execute


def test_words_reach_the_command_as_they_are(query: Any) -> None:
    words = ["$HOME", "a  b", "'", '"', "*", ";", "é", "%f\\n", ""]
    assert query("printf", "[%s]", *words)["stdout"] == "".join(f"[{word}]" for word in words)


def test_it_changes_nothing_and_runs_in_check_mode(query: Any) -> None:
    result = query("echo", "yes")
    assert (result["stdout"], result["changed"], result.get("failed")) == ("yes", False, None)


@pytest.mark.parametrize(("script", "message"), [("echo cause >&2; exit 3", "cause"), ("exit 3", "status 3 of")])
def test_a_status_is_a_failure_with_its_cause(query: Any, script: str, message: str) -> None:
    result = query("sh", "-c", script)
    assert result["failed"]
    assert result["rc"] == 3
    assert result["msg"].startswith(message)


def test_a_command_that_is_not_there_is_a_failure(query: Any) -> None:
    assert query("no-such-command")["rc"] == 127


def test_messages_are_in_english(query: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    assert query("printenv", "LC_ALL")["stdout"] == "C"
