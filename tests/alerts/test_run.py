"""One run as alerts.service does it, on the engine's fake host."""

import json
from pathlib import Path
from typing import Any

import pytest

from slipway.alerts import app, facts, run
from slipway.alerts.alert import Message, Place
from slipway.alerts.settings import Receiver
from slipway.engine import deploy
from slipway.engine.status import status
from slipway.model.site import Site
from tests.engine.conftest import SITE, folder, host  # noqa: F401
from tests.engine.fakes import FakeHost
from tests.engine.names import A


@pytest.fixture
def sent(host: FakeHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Message]:  # noqa: F811
    """What the receiver got."""
    got: list[Message] = []
    to = [{"kind": kind, "url": "http://127.0.0.1:1/T0KEN"} for kind in ("heartbeat", "json")]
    (tmp_path / "alerts").write_text(json.dumps({"to": to}))
    for name in ("CREDENTIALS_DIRECTORY", "STATE_DIRECTORY"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setattr(Site, "load", lambda: SITE)
    monkeypatch.setattr(run, "Host", lambda _site: host)
    monkeypatch.setattr(facts, "read", lambda *_: facts.Facts())

    def send(_receiver: Receiver, message: Message, _place: Place) -> str:
        got.append(message)
        return ""

    monkeypatch.setattr(run, "send", send)
    monkeypatch.setattr(run, "beat", lambda _receiver: "")
    return got


@pytest.fixture
def beats(sent: list[Message], monkeypatch: pytest.MonkeyPatch) -> list[Receiver]:
    """The heartbeats that a service outside got; it answers with 500."""
    got: list[Receiver] = []

    def beat(receiver: Receiver) -> str:
        got.append(receiver)
        return "status 500"

    monkeypatch.setattr(run, "beat", beat)
    return got


def test_the_heart_beats_as_long_as_the_site_works(
    host: FakeHost,  # noqa: F811
    beats: list[Receiver],
    sent: list[Message],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run.main()
    assert len(beats) == 0, "no release is live yet"
    deploy.activate(host, host.ship(A))
    monkeypatch.setattr(facts, "read", lambda *_: facts.Facts(reboot="linux"))
    assert [run.main() for _ in range(2)] == [0] * 2
    assert [each.kind for each in beats] == ["heartbeat"] * 2, "whatever else is wrong"
    assert "not delivered to 1-heartbeat: status 500" in capsys.readouterr().err
    down: dict[str, Any] = status(host) | {"problem": "GET /readyz through nginx: 502"}
    monkeypatch.setattr(app, "status", lambda _host: down)
    assert [run.main() for _ in range(2)] == [0] * 2
    assert len(beats) == 2
    assert [each.alert.key for each in sent] == ["reboot", "site"], "the heartbeat gets no alerts"


def test_what_cannot_be_read_is_no_heartbeat(
    host: FakeHost,  # noqa: F811
    beats: list[Receiver],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    deploy.activate(host, host.ship(A))

    def damaged(*_: Any) -> None:
        raise PermissionError(13, "Permission denied", "/srv/app/current")

    monkeypatch.setattr(app, "status", damaged)
    run.main()
    assert beats == []


def test_a_site_that_is_down_and_back(host: FakeHost, sent: list[Message], monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    deploy.activate(host, host.ship(A))
    assert run.main() == 0
    down: dict[str, Any] = status(host) | {"problem": "GET /readyz through nginx: 502"}
    monkeypatch.setattr(app, "status", lambda _host: down)
    assert [run.main() for _ in range(4)] == [0] * 4
    assert [(each.over, each.alert.key) for each in sent] == [(False, "site")]
    monkeypatch.setattr(app, "status", status)
    assert [run.main() for _ in range(4)] == [0] * 4
    assert [(each.over, each.alert.key) for each in sent] == [(False, "site"), (True, "site")]


def test_what_cannot_be_read_is_told_and_nothing_is_over(sent: list[Message], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "read", lambda *_: facts.Facts(reboot="linux"))
    run.main()

    def damaged(*_: Any) -> None:
        raise PermissionError(13, "Permission denied", "/srv/app/current")

    monkeypatch.setattr(app, "status", damaged)
    assert [run.main() for _ in range(4)] == [0] * 4
    assert [(each.over, each.alert.key) for each in sent] == [(False, "reboot"), (False, "status")]


def test_damaged_settings_fail(sent: list[Message], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "alerts").write_text("{T0KEN")
    assert run.main() == 1
    assert "T0KEN" not in capsys.readouterr().err
    assert sent == []
