"""`slipway restore`: the command that it gives to each host with data."""

import shlex
from pathlib import Path

import pytest

from slipway.controller import inventory
from slipway.controller.cli import hosts
from slipway.model.errors import SlipwayError

APP = {"ansible_host": "203.0.113.7", "ansible_user": "admin", "app": True}
DATA = {"ansible_host": "203.0.113.9", "ansible_user": "root", "app": False}


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The commands that hosts get."""
    given: list[str] = []
    (tmp_path / "deploy/production").mkdir(parents=True)
    (tmp_path / "deploy/production/hosts.yml").write_text("app:\n")
    monkeypatch.chdir(tmp_path)

    def ssh(_connection: list[str], command: list[str], *, verbose: bool) -> int:
        given.append(command[-1].rpartition("exec ")[2])
        return 0

    monkeypatch.setattr(hosts, "_ssh", ssh)
    monkeypatch.setattr(hosts, "verify_answered", lambda *_: None)
    monkeypatch.setattr(hosts, "sources", lambda *_: [])
    monkeypatch.setattr(inventory, "with_data", lambda _sources: {"db1": DATA, "www1": APP})
    return given


def test_the_newest_snapshot_comes_back_and_one_app_host_migrates(commands: list[str]) -> None:
    hosts.restore("production")
    assert commands == [f"{hosts.PROGRAM} restore", f"sudo {hosts.PROGRAM} restore --migrate --if-any"]


def test_after_the_data_host_alone_the_first_app_host_migrates(commands: list[str]) -> None:
    hosts.restore("production", host="db1")
    assert commands == [f"{hosts.PROGRAM} restore", f"sudo {hosts.PROGRAM} migrate"]


def test_without_migrations_the_data_host_alone_is_one_command(commands: list[str]) -> None:
    hosts.restore("production", host="db1", migrate=False)
    assert commands == [f"{hosts.PROGRAM} restore"]


def test_app_hosts_alone_must_have_a_backup(commands: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inventory, "with_data", lambda _sources: {"www1": APP, "www2": APP})
    hosts.restore("production")
    assert commands == [f"sudo {hosts.PROGRAM} restore --migrate", f"sudo {hosts.PROGRAM} restore"]


def test_a_host_that_fails_says_which_ones_have_their_data(
    commands: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosts, "_ssh", lambda connection, _command, verbose: int("203.0.113.7" in connection[-1]))
    with pytest.raises(SlipwayError, match=r"www1 was not restored; .* Restored before: db1[.] .* --host NAME"):
        hosts.restore("production")


def test_before_a_rollback_nothing_migrates(commands: list[str]) -> None:
    hosts.restore("production", snapshot="1a2b3c4d", replace=True, migrate=False, host="www1")
    assert shlex.split(commands[0])[2:] == ["restore", "--snapshot=1a2b3c4d", "--replace"]


def test_a_snapshot_of_several_hosts_is_refused_before_any_is_touched(commands: list[str]) -> None:
    with pytest.raises(SlipwayError, match=r"A snapshot is of one host, and production has db1, www1.*: --host db1"):
        hosts.restore("production", snapshot="1a2b3c4d")
    assert commands == []


def test_a_moment_is_for_all_hosts(commands: list[str]) -> None:
    hosts.restore("production", at="2026-11-29T14:05:30", migrate=False)
    assert ["--at=2026-11-29T14:05:30" in shlex.split(each) for each in commands] == [True, True]
