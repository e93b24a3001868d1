"""A data host of its own: what is told there, by the records and units of a real folder and a fake systemd."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from slipway.alerts import facts, run
from slipway.alerts.alert import Message, Place
from slipway.alerts.settings import Receiver
from slipway.backup import report
from slipway.data_host import alerts, cli
from slipway.data_host.host import DataHost
from slipway.data_host.status import status, text
from slipway.engine.systemd import Systemd
from slipway.model.data_host import DataSettings
from slipway.model.errors import SlipwayError

POSTGRESQL, BROKER = "postgresql@17-main.service", "valkey-server.service"
LAST = {"kind": "nightly", "snapshot": "1a", "tables": 1, "rows": 7}


class FakeSystemd(Systemd):
    def __init__(self) -> None:
        self.states = {POSTGRESQL: "active", BROKER: "active"}

    def state(self, unit: str) -> Any:
        return SimpleNamespace(active=self.states[unit])


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataHost:
    """A data host on which all is well."""
    monkeypatch.setattr(facts, "read", lambda *_: facts.Facts())
    owner = tmp_path / "site.json"
    owner.write_text(json.dumps({"project": "acme/shop", "environment": "production"}))
    settings = DataSettings((POSTGRESQL, BROKER), backup=True)
    return DataHost(settings, FakeSystemd(), owner, tmp_path, tmp_path, "db1")


def set_state(host: DataHost, unit: str, state: str) -> None:
    cast("FakeSystemd", host.systemd).states[unit] = state


def fail(host: DataHost, what: str) -> None:
    """Have a backup or its test fail."""
    with pytest.raises(SlipwayError), report.recorded(what, folder=host.backups):
        raise SlipwayError("the repository is away")


def keys(host: DataHost) -> list[str]:
    return [each.key for each in alerts.found(host)]


def test_all_is_well(host: DataHost) -> None:
    assert keys(host) == []
    assert status(host)["state"] == "healthy"


@pytest.mark.parametrize(
    ("state", "told", "condition"),
    [
        ("inactive", [f"service:{POSTGRESQL}"], "unhealthy"),
        ("activating", [], "unhealthy"),
        ("failed", [], "unhealthy"),  # with all units that failed
    ],
)
def test_postgresql_that_does_not_run(host: DataHost, state: str, told: list[str], condition: str) -> None:
    set_state(host, POSTGRESQL, state)
    assert keys(host) == told
    assert status(host)["state"] == condition


@pytest.mark.parametrize(
    ("what", "key"), [("backup", "backup:backup"), ("restore-test", "backup:restore_test"), ("wal", "backup:wal")]
)
def test_backups_that_fail(host: DataHost, what: str, key: str) -> None:
    fail(host, what)
    assert keys(host) == [key]
    assert "the repository is away" in text(status(host))
    assert status(host)["problems"] == []  # the record has it


def test_what_the_system_says_is_told_and_shown(host: DataHost, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = facts.Facts(failed_units=[POSTGRESQL], low_disks={"/var/lib/postgresql": "1 of 9 MiB"}, reboot="linux")
    monkeypatch.setattr(facts, "read", lambda *_: wrong)
    expected = [f"unit:{POSTGRESQL}", "disk:/var/lib/postgresql", "reboot"]
    assert keys(host) == expected
    values = status(host)
    assert [each["key"] for each in values["problems"]] == expected
    assert "  problem   the disk of /var/lib/postgresql is nearly full: 1 of 9 MiB" in text(values).splitlines()


def test_a_system_that_does_not_tell_hides_no_backup(host: DataHost, monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(*_: Any) -> None:
        raise SlipwayError("`timedatectl` was not done within 30 s")

    monkeypatch.setattr(facts, "read", silent)
    fail(host, "backup")
    values = status(host)
    assert [each["detail"] for each in values["problems"]] == ["`timedatectl` was not done within 30 s"]
    assert values["backup"]["backup"]["state"] == "failed"


def test_the_status_for_people(host: DataHost) -> None:
    with report.recorded(report.BACKUP, folder=host.backups) as result:
        result |= LAST
    lines = text(status(host)).splitlines()
    assert lines[:3] == [
        "db1: healthy",
        "  data      acme/shop, production",
        f"  services  {POSTGRESQL} active, {BROKER} active",
    ]
    assert any(line.startswith("  backup    ") and "7 rows in 1 tables" in line for line in lines)
    assert "  backup    restore test: none yet" in lines
    assert any(line.startswith("  disk      ") for line in lines)


def test_without_backups(host: DataHost) -> None:
    host.settings = DataSettings((POSTGRESQL,), backup=False)
    fail(host, "backup")  # a record from before they were given up
    assert keys(host) == []
    assert status(host)["backup"] is None
    assert "  backup    none" in text(status(host)).splitlines()


def test_one_run_of_the_alerts_needs_no_site(host: DataHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    to = {"to": [{"kind": "json", "url": "http://127.0.0.1:1/"}], "is_app": False}
    (tmp_path / "alerts").write_text(json.dumps(to))
    for name in ("CREDENTIALS_DIRECTORY", "STATE_DIRECTORY"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setattr(DataSettings, "load", lambda: host.settings)
    monkeypatch.setattr(run, "DataHost", lambda _settings: host)
    got: list[tuple[str, Place]] = []

    def send(_receiver: Receiver, message: Message, place: Place) -> str:
        got.append((message.alert.key, place))
        return ""

    monkeypatch.setattr(run, "send", send)
    fail(host, "backup")
    assert [run.main() for _ in range(3)] == [0, 0, 0]
    assert got == [("backup:backup", Place("db1", "acme/shop", "production"))]


def test_settings_that_are_missing_or_damaged_say_what_to_type(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for content in (None, "{", '{"services": []}'):
        file = tmp_path / "data.json"
        if content is not None:
            file.write_text(content)
        with pytest.raises(SlipwayError, match=r"data.json is missing or damaged .*slipway provision"):
            DataSettings.load(file)
    assert cli.main(["status"]) == 1  # this machine is no data host
    assert "slipway provision" in capsys.readouterr().err
