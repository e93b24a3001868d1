"""`slipway status --json`: the login for each host, and what is printed where one does not answer."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from slipway.controller import host_status, inventory
from slipway.controller.cli import hosts, main

APP = {"ansible_host": "203.0.113.7", "ansible_user": "admin", "app": True}
DATA = {"ansible_host": "203.0.113.9", "ansible_user": "admin", "app": False}


@pytest.fixture
def refused() -> dict[str, str]:
    """What ssh says to logins that fail."""
    return {}


@pytest.fixture
def logins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: dict[str, str]) -> list[str]:
    """The logins, of an environment with a data host of its own."""
    (tmp_path / "deploy/production").mkdir(parents=True)
    (tmp_path / "deploy/production/hosts.yml").write_text("app:\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(hosts, "sources", lambda *_: [])
    monkeypatch.setattr(hosts, "verify_answered", lambda *_: None)
    monkeypatch.setattr(inventory, "with_data", lambda _sources: {"db1": DATA, "www1": APP})
    given: list[str] = []

    def ask(ssh: Sequence[str]) -> dict[str, Any]:
        given.append(ssh[-1])
        if ssh[-1] in refused:
            raise host_status.NoStatusError(refused[ssh[-1]])
        return {"state": "healthy"}

    monkeypatch.setattr(host_status, "ask", ask)
    return given


def test_the_data_host_is_asked_as_who_provisions(logins: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["status", "production", "--json"])
    assert ended.value.code == 0
    assert sorted(logins) == ["admin@203.0.113.9", "deploy@203.0.113.7"]
    assert json.loads(capsys.readouterr().out) == {"db1": {"state": "healthy"}, "www1": {"state": "healthy"}}


@pytest.mark.parametrize(
    ("login", "name", "why"),
    [
        ("deploy@203.0.113.7", "www1", "Permission denied (publickey)"),
        ("admin@203.0.113.9", "db1", "ssh: connect to host 203.0.113.9 port 22: No route to host"),
    ],
)
@pytest.mark.usefixtures("logins")
def test_a_host_that_does_not_answer_is_an_error_and_the_other_is_printed(
    login: str, name: str, why: str, refused: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    refused[login] = why
    with pytest.raises(SystemExit) as ended:
        main(["status", "production", "--json"])
    assert ended.value.code == 1
    assert json.loads(capsys.readouterr().out) == {"db1": {"state": "healthy"}, "www1": {"state": "healthy"}} | {
        name: {"error": why}
    }


@pytest.mark.usefixtures("logins")
def test_a_data_host_is_not_shown_to_who_has_the_key_that_deploys_alone(
    refused: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    refused["admin@203.0.113.9"] = "admin@203.0.113.9: Permission denied (publickey)."
    with pytest.raises(SystemExit) as ended:
        main(["status", "production", "--json"])
    assert ended.value.code == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["www1"] == {"state": "healthy"}
    assert shown["db1"] == {"state": "unknown", "cause": refused["admin@203.0.113.9"]}
