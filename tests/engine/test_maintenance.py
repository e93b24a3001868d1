"""Maintenance: what the engine accepts, writes, and says in `slipway status`. tests/nginx asks nginx."""

import json

import pytest

from slipway.engine import audit, cli, deploy, maintenance
from slipway.engine.status import status, text
from tests.engine.fakes import FakeHost
from tests.engine.names import A, B

Captured = pytest.CaptureFixture[str]
pytestmark = pytest.mark.usefixtures("command_line")


def test_status_and_the_audit_say_who_switched_it_on(host: FakeHost, capsys: Captured) -> None:
    assert cli.main(["maintenance", "on", "--message", "Back at 10", "--by", "alice"]) == 0
    assert "clients get 503 with 'Back at 10'" in capsys.readouterr().out
    shown = status(host)["maintenance"]
    assert (shown["by"], shown["message"]) == ("alice", "Back at 10")
    assert f"  MAINTENANCE since {shown['since']}, by alice: clients get 503 with 'Back at 10'" in text(status(host))
    assert [(each["what"], each["by"], each["command"]) for each in audit.last(host)] == [
        ("maintenance", "alice", ["on"])
    ]


def test_another_message_keeps_the_time(host: FakeHost) -> None:
    first = maintenance.switch_on(host.releases.root, "One", by="alice")
    again = maintenance.switch_on(host.releases.root, "Two", by="bob")
    assert again == {"since": first["since"], "by": "bob", "message": "Two"}


def test_a_deploy_leaves_it_on(host: FakeHost) -> None:
    deploy.activate(host, host.ship(A))
    on = maintenance.switch_on(host.releases.root, "Back soon", by="alice")
    deploy.activate(host, host.ship(B))
    assert (status(host)["live"], status(host)["maintenance"]) == (B, on)


def test_off_twice_says_so(host: FakeHost, capsys: Captured) -> None:
    cli.main(["maintenance", "on"])
    assert [cli.main(["maintenance", "off"]) for _ in range(2)] == [0, 0]
    assert capsys.readouterr().out.splitlines()[1:] == ["maintenance is off", "maintenance was not on"]
    assert status(host)["maintenance"] is None


@pytest.mark.parametrize(
    ("message", "named"),
    [
        ("", "has 0 characters: write 1 to 500"),
        ("  ", "has 2 characters"),
        ("x" * 501, "has 501 characters"),
        ("a\nb", r"has the character '\n'"),
        ("\x1b[2J", r"'\x1b'"),
        ("a\u202eb", r"'\u202e'"),
        ("a\ud800", r"'\ud800'"),
    ],
)
def test_a_message_that_cannot_be_shown_is_refused(host: FakeHost, message: str, named: str, capsys: Captured) -> None:
    assert cli.main(["maintenance", "on", "--message", message]) == 2
    assert named in capsys.readouterr().err
    assert not (host.releases.root / maintenance.FOLDER).exists()


@pytest.mark.parametrize("message", ["it's \"5\" o'clock", "$uri ${x} \\", "</p><script>", "<!--# echo -->", "ä 日本"])
def test_what_nginx_includes_cannot_command_it(host: FakeHost, message: str) -> None:
    maintenance.switch_on(host.releases.root, message, by="alice")
    folder = host.releases.root / maintenance.FOLDER
    assert "<" not in (folder / maintenance.HTML).read_text()
    assert json.loads(f'"{(folder / maintenance.JSON).read_text()}"') == message


@pytest.mark.parametrize("damaged", ["", "[]", "{", "{}"])
def test_a_damaged_switch_is_on(host: FakeHost, damaged: str) -> None:
    folder = host.releases.root / maintenance.FOLDER
    folder.mkdir()
    (folder / maintenance.SWITCH).write_text(damaged)
    assert status(host)["maintenance"] == {"since": None, "by": None, "message": None}
    assert "MAINTENANCE" in text(status(host))
    assert maintenance.switch_off(host.releases.root)
