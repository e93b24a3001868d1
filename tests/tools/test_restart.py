"""`slipway restart` of several hosts: one after another, and none after one that does not come back."""

from pathlib import Path

import pytest

from slipway.controller import inventory
from slipway.controller.cli import hosts, main

HOSTS = {"www1": {"ansible_host": "192.0.2.1"}, "www2": {"ansible_host": "192.0.2.2"}}


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The commands for hosts, in order, with the address before each; www1 fails if the list begins with "fails"."""
    (tmp_path / "deploy/production").mkdir(parents=True)
    (tmp_path / "deploy/production/hosts.yml").write_text("app:\n  hosts:\n    www1:\n    www2:\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(inventory, "read", lambda _sources: HOSTS)
    sent: list[str] = []

    def ssh(connection: list[str], command: list[str], *, verbose: bool) -> int:
        assert not verbose
        sent.append(f"{connection[-1]} {' '.join(command)}")
        return int(sent[0] == "fails")

    monkeypatch.setattr(hosts, "_ssh", ssh)
    return sent


def _restart(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["restart", "production", *words])
    return int(ended.value.code or 0)


def test_hosts_restart_one_after_another(commands: list[str]) -> None:
    assert _restart() == 0
    assert commands == ["deploy@192.0.2.1 slipway restart", "deploy@192.0.2.2 slipway restart"]


def test_a_host_by_name(commands: list[str]) -> None:
    assert _restart("--host", "www2") == 0
    assert commands == ["deploy@192.0.2.2 slipway restart"]


def test_a_host_that_fails_is_the_last(
    commands: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    commands.append("fails")
    assert _restart() == 1
    assert commands[1:] == ["deploy@192.0.2.1 slipway restart"]
    message = "www1 was not restarted; the cause is above. Not restarted: www2. Type: slipway status production"
    assert message in capsys.readouterr().err
