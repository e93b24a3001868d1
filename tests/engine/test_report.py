"""`slipway report` on a host."""

import json

import pytest

from slipway.engine import cli, deploy
from slipway.report import machine
from tests.engine.fakes import FakeHost
from tests.engine.names import A

Captured = pytest.CaptureFixture[str]
pytestmark = pytest.mark.usefixtures("command_line")


@pytest.fixture(autouse=True)
def not_nicer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.nice", lambda _steps: 0)


def test_it_prints_one_document(host: FakeHost, capsys: Captured) -> None:
    deploy.activate(host, host.ship(A))
    host.access_log.write_text("damaged\n")
    capsys.readouterr()
    assert cli.main(["report", "--since", "7d"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["live"], len(found["traffic"]["bins"])) == (A, 168)
    assert [(each["release"], each["ended"]) for each in found["activations"]] == [(A, "done")]
    assert found["traffic"]["damaged_lines"] == 1
    assert [unit["unit"] for unit in found["units"]] == [f"app@{A}.service", "nginx.service"]
    assert found["memory"]["total"] > found["memory"]["available"] > 0
    assert found["disks"][0]["total"] > 0


def test_a_host_without_log_says_so(host: FakeHost, capsys: Captured) -> None:
    host.access_log.unlink(missing_ok=True)
    assert cli.main(["report"]) == 1
    assert str(host.access_log) in capsys.readouterr().err


def test_another_period_is_refused(capsys: Captured) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["report", "--since", "2d"])
    assert ended.value.code == 2
    assert "invalid choice: '2d'" in capsys.readouterr().err


def test_memory_is_in_bytes() -> None:
    text = "MemTotal:        2048 kB\nMemAvailable:    1024 kB\nSwapTotal:          0 kB\nHugePages_Total:       0\n"
    assert machine.memory(text) == {"total": 2 << 20, "available": 1 << 20, "swap_total": 0, "swap_free": 0}
