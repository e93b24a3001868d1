"""alerts_to: what is accepted, and that a refusal names the entry and no secret."""

import json
from pathlib import Path
from typing import Any

import pytest

from slipway.alerts.settings import LOCAL_MAIL, Receiver, Settings, refusals
from slipway.model.errors import SlipwayError

SECRET = "T0KEN"


@pytest.mark.parametrize(
    "receiver",
    [
        {"kind": "slack", "url": "https://hooks.slack.com/services/T/B/x"},
        {"kind": "ntfy", "url": "https://ntfy.sh/topic", "token": "tk_1"},
        {"kind": "discord", "url": "https://discord.com/api/webhooks/1/x"},
        {"kind": "json", "url": "http://10.0.0.9:8080/alerts?a=1"},
        {"kind": "heartbeat", "url": "https://hc-ping.com/0000", "token": "tk_1"},
        {"kind": "mail", "to": "ops@example.com"},
        {"kind": "mail", "to": "ops@example.com", "url": "smtps://mail.example.com", "user": "u", "password": "p"},
        {"kind": "mail", "to": "ops@example.com", "from": "host@example.com", "url": "smtp://mail.example.com:2525"},
    ],
)
def test_accepted(receiver: dict[str, Any]) -> None:
    assert refusals([receiver]) == []
    assert Receiver.parse(receiver).kind == receiver["kind"]


def test_the_other_hosts_are_none_where_an_earlier_version_provisioned(tmp_path: Path) -> None:
    file = tmp_path / "alerts"
    file.write_text(json.dumps({"to": []}))
    assert Settings.load(file).others == {}
    file.write_text(json.dumps({"to": [], "others": {"www2": "10.0.0.2"}}))
    assert Settings.load(file).others == {"www2": "10.0.0.2"}


@pytest.mark.parametrize(
    ("receiver", "named"),
    [
        (f"https://example.com/{SECRET}", "kind is missing"),
        ({"url": f"https://example.com/{SECRET}"}, "kind is ''"),
        ({"kind": "teams", "url": f"https://example.com/{SECRET}"}, "kind is 'teams'"),
        ({"kind": "slack"}, "url is missing"),
        ({"kind": "slack", "url": f"ftp://example.com/{SECRET}"}, "url is no slack address"),
        ({"kind": "slack", "url": f"https:///{SECRET}"}, "url is no slack address"),
        ({"kind": "slack", "url": f"https://example.com:x/{SECRET}"}, "url is no slack address"),
        ({"kind": "slack", "url": f"https://example.com/{SECRET} x"}, "url is no slack address"),
        ({"kind": "slack", "url": f"https://example.com/{SECRET}ä"}, "url is no slack address"),
        ({"kind": "slack", "url": f"https://example.com/{SECRET}\nx"}, "url is empty, or not one line"),
        ({"kind": "slack", "url": None}, "url is empty"),
        ({"kind": "slack", "url": f"https://example.com/{SECRET}", "to": "a@b"}, "slack has no to"),
        ({"kind": "heartbeat", "url": f"smtp://{SECRET}"}, "url is no heartbeat address. Write url: https://HOST/..."),
        ({"kind": "heartbeat"}, "url is missing"),
        ({"kind": "json", "url": f"https://user:{SECRET}@example.com/"}, "url has a user or a password"),
        ({"kind": "mail"}, "to is missing"),
        ({"kind": "mail", "to": "ops"}, "to is 'ops'"),
        ({"kind": "mail", "to": "a@b, c@d"}, "to is 'a@b, c@d'"),
        ({"kind": "mail", "to": "a@b.c", "url": f"https://example.com/{SECRET}"}, "url is no mail address"),
        ({"kind": "mail", "to": "a@b.c", "password": SECRET}, "user and password belong together"),
        ({"kind": "mail", "to": "a@b.c", "from": "x\r\nBcc: e@f.g"}, "from is empty, or not one line"),
    ],
)
def test_refused(receiver: Any, named: str) -> None:
    refused = " ".join(refusals([{"kind": "mail", "to": "a@b.c"}, receiver]))
    assert named in refused
    assert refused.startswith("alerts_to, entry 2: ")
    assert SECRET not in refused


def test_a_receiver_shows_no_secret() -> None:
    receiver = Receiver("json", f"https://example.com/{SECRET}", token=SECRET, password=SECRET)
    assert SECRET not in repr(receiver)


def test_what_provisioning_wrote_is_read(tmp_path: Path) -> None:
    file = tmp_path / "alerts"
    file.write_text(json.dumps({"to": [{"kind": "mail", "to": "a@b.c", "from": "d@e.f"}], "https_port": 443}))
    assert Settings.load(file) == Settings((Receiver("mail", LOCAL_MAIL, to="a@b.c", sender="d@e.f"),), 443)


@pytest.mark.parametrize("text", [None, "", "{}", "[]", '{"to": [{"url": "T0KEN"}]}', '{"to": [{"a": "T0KEN"}]}'])
def test_damaged_settings_are_told_without_a_secret(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "alerts"
    if text is not None:
        file.write_text(text)
    with pytest.raises(SlipwayError) as refused:
        Settings.load(file)
    assert "slipway provision" in str(refused.value)
    assert SECRET not in str(refused.value)
