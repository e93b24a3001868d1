"""Attempts, their back-off, and what certbot is told and tells."""

import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from slipway.acme import certbot, obtain
from slipway.acme.attempts import CHECK_SECONDS, Attempts
from slipway.acme.certificate import Pair
from slipway.acme.settings import LETS_ENCRYPT, Settings
from slipway.model.errors import SlipwayError
from tests.acme.conftest import GOOD, OTHER

NOW = 1_800_000_000.0


def test_failures_in_a_row_wait_longer_each_time() -> None:
    attempts, minutes = Attempts(), []
    assert attempts.is_due(NOW)
    for _ in range(12):
        attempts = attempts.failed(NOW, "x")
        minutes.append((attempts.next_at - NOW) / 60)
    assert minutes == [15, 30, 60, 120, 240, 480, *[CHECK_SECONDS / 60] * 6]
    assert not attempts.is_due(NOW + 60)
    assert attempts.is_due(NOW - 1), "the clock was wrong"
    assert attempts.succeeded(NOW).next_at == NOW + CHECK_SECONDS


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", '{"failures": "x"}', '{"failures": 1}'),
        '{"failures": 1, "tried_at": Infinity, "failed_since": 0, "reason": ""}',
        '{"failures": 1, "tried_at": 1e300, "failed_since": NaN, "reason": ""}',
    ],
)
def test_a_damaged_record_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    assert Attempts.load(tmp_path / "x.json") == Attempts()


def test_a_record_that_is_no_file_holds_up_nobody(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.json")
    (tmp_path / "link.json").symlink_to("/etc/passwd")
    assert Attempts.load(tmp_path / "x.json") == Attempts.load(tmp_path / "link.json") == Attempts()


OUTPUTS = {
    "authentication": (
        """Saving debug log to /p/l/letsencrypt.log
Requesting a certificate for bad.example.test

Certbot failed to authenticate some domains (authenticator: webroot). The Certificate Authority reported these problems:
  Domain: bad.example.test
  Type:   connection
  Detail: Get "http://bad.example.test/x": dial tcp 127.0.0.9:80: connect: connection refused

Hint: The Certificate Authority failed to download the temporary challenge files created by Certbot.

Some challenges have failed.
Ask for help or search for solutions at https://community.letsencrypt.org.
""",
        'connection: Get "http://bad.example.test/x": dial tcp 127.0.0.9:80: connect: connection refused',
    ),
    "policy": (
        """Saving debug log to /p/l/letsencrypt.log
An unexpected error occurred:
Order included an identifier for which issuance is forbidden by policy: "x.test"
Ask for help or search for solutions at https://community.letsencrypt.org.
""",
        'Order included an identifier for which issuance is forbidden by policy: "x.test"',
    ),
    "away": (
        "An unexpected error occurred:\nValueError: Requesting localhost/dir: Connection refused\nAsk for help or",
        "Requesting localhost/dir: Connection refused",
    ),
    "certbot's own": (
        "Saving debug log to /x\nAnother instance of Certbot is already running.",
        "Another instance of Certbot is already running.",
    ),
    "a full disk": (
        """Saving debug log to /p/l/letsencrypt.log
An unexpected error occurred:
OSError: [Errno 28] No space left on device
--- Logging error ---
Traceback (most recent call last):
  File "/usr/lib/python3.13/logging/handlers.py", line 73, in emit
OSError: [Errno 28] No space left on device
Message: 'OSError: [Errno 28] No space left on device'
Arguments: ()
""",
        "No space left on device",
    ),
    "a CA with customers": (
        "Unable to register an account with ACME server. Server requires external account binding."
        " Please use --eab-kid and --eab-hmac-key.",
        "Unable to register an account with ACME server. Server requires external account binding."
        " Set nginx_acme_eab in secrets.yml.",
    ),
    "nothing": ("", "certbot says nothing"),
}


@pytest.mark.parametrize("case", OUTPUTS)
def test_the_reason_is_the_cas_own(case: str) -> None:
    output, expected = OUTPUTS[case]
    assert certbot.reason(output) == expected


LOG = """Traceback (most recent call last):
acme.messages.Error: urn:ietf:params:acme:error:unauthorized :: an older one
acme.messages.Error: urn:ietf:params:acme:error:rateLimited :: too many :: retry after 2026-11-29 10:00:00 UTC
AttributeError: can't set attribute
"""


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        (LOG, "urn:ietf:params:acme:error:rateLimited :: too many :: retry after 2026-11-29 10:00:00 UTC"),
        ("", "certbot failed without a reason"),
    ],
)
def test_the_reason_that_certbot_2_1_hides_is_in_its_log(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, log: str, expected: str
) -> None:
    program = tmp_path / "bin/certbot"
    program.parent.mkdir()
    program.write_text(
        "#!/bin/sh\necho 'An unexpected error occurred:'\necho \"AttributeError: can't set attribute\"\nexit 1\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    (settings.certbot / "log").mkdir(parents=True)
    (settings.certbot / "log/letsencrypt.log").write_text(log)
    with pytest.raises(certbot.CertbotError) as raised:
        certbot.delete(settings, GOOD)
    assert str(raised.value).startswith(expected)


@pytest.mark.parametrize(
    ("changes", "version", "has", "lacks"),
    [
        ({}, (2, 1), ["--webroot", "--register-unsafely-without-email"], ["--email", "--preferred-profile"]),
        ({"email": "a@b.example"}, (2, 1), ["--email", "a@b.example"], ["--register-unsafely-without-email"]),
        ({"profile": "tlsserver"}, (4, 0), ["--preferred-profile", "tlsserver"], []),
        ({"profile": "tlsserver"}, (2, 1), [], ["--preferred-profile"]),
        (
            {"dns": "cloudflare"},
            (4, 0),
            [
                "--dns-cloudflare",
                "--dns-cloudflare-credentials",
                "/c/dns",
                "--dns-cloudflare-propagation-seconds",
                "60",
            ],
            ["--webroot"],
        ),
        ({"eab": True}, (2, 1), ["--webroot", "--config", "/c/eab"], []),
        ({}, (2, 1), [], ["--config"]),
        ({"dns": "route53"}, (4, 0), ["--dns-route53"], ["--webroot", "--dns-route53-credentials"]),
    ],
)
def test_what_certbot_is_told(
    settings: Settings, changes: dict[str, Any], version: tuple[int, ...], has: list[str], lacks: list[str]
) -> None:
    line = certbot.command(replace(settings, **changes), GOOD, Path("/c"), version)
    assert set(has) <= set(line)
    assert not set(lacks) & set(line)


class Certbot:
    """Answers by name: an error, or a certificate."""

    def __init__(self, settings: Settings, make: Callable[..., str]) -> None:
        self.settings, self.make = settings, make
        self.errors: dict[str, list[str]] = {}
        self.cut: list[int] = []
        """How many characters of the next certificates arrive on the disk."""
        self.calls: list[tuple[str, bool]] = []

    def run(self, settings: Settings, verb: str, *options: str) -> None:
        if verb == "delete":
            (settings.certbot / "renewal" / f"{options[1]}.conf").unlink()
            return
        name = options[options.index("--domains") + 1]
        self.calls.append((name, "--dry-run" in options))
        if self.errors.get(name):
            raise certbot.CertbotError(self.errors[name].pop(0))
        if "--dry-run" not in options:
            live = settings.certbot / "live" / name
            live.mkdir(parents=True, exist_ok=True)
            text = self.make(name)
            begin = text.index("-----BEGIN CERTIFICATE")
            (live / "privkey.pem").write_text(text[:begin])
            (live / "fullchain.pem").write_text(text[begin : begin + self.cut.pop(0)] if self.cut else text[begin:])
            (settings.certbot / "renewal").mkdir(exist_ok=True)
            (settings.certbot / "renewal" / f"{name}.conf").touch()


@pytest.fixture
def fake(settings: Settings, monkeypatch: pytest.MonkeyPatch, make: Callable[..., str]) -> Certbot:
    made = Certbot(settings, make)
    monkeypatch.setattr(certbot, "_run", made.run)
    return made


def test_one_name_that_fails_blocks_no_other(settings: Settings, fake: Certbot) -> None:
    fake.errors[GOOD] = ["dns: no such name"] * 9
    assert obtain.run(settings, None, waits=True) == 1
    assert settings.ready(OTHER).read_text() == certbot.read(settings, OTHER) != ""
    assert settings.ready(OTHER).stat().st_mode & 0o777 == 0o600
    assert Attempts.load(settings.record(GOOD)).reason == "dns: no such name"
    assert not Attempts.load(settings.record(OTHER)).failures


def test_a_first_attempt_and_one_after_a_failure_are_rehearsed(settings: Settings, fake: Certbot) -> None:
    """The rehearsal fails: the real CA gets no request."""
    one = replace(settings, names=(GOOD,))
    fake.errors[GOOD] = ["dns: no such name"]
    obtain.run(one, None, waits=False)
    assert fake.calls == [(GOOD, True)]
    obtain.run(one, None, waits=False)
    assert fake.calls[1:] == [(GOOD, True), (GOOD, False)]
    obtain.run(one, None, waits=False)
    assert fake.calls[3:] == [(GOOD, False)]
    other_ca = replace(one, directory="https://ca.internal/acme/directory")
    obtain.run(other_ca, None, waits=False)
    assert fake.calls[4:] == [(GOOD, False)]
    assert settings.directory == LETS_ENCRYPT


def test_the_timer_waits_and_a_person_does_not(settings: Settings, fake: Certbot) -> None:
    fake.errors[GOOD] = ["x"] * 9
    obtain.run(settings, None, waits=True)
    before = len(fake.calls)
    assert obtain.run(settings, None, waits=True) == 0
    assert len(fake.calls) == before
    obtain.run(settings, None, waits=False)
    assert len(fake.calls) > before


def test_a_run_that_waited_for_another_does_not_repeat_it(settings: Settings, fake: Certbot) -> None:
    fake.errors[GOOD] = ["x"] * 9
    began = time.time()
    obtain.run(settings, None, waits=False)
    calls = len(fake.calls)
    assert obtain.run(settings, None, waits=False, before=began) == 0
    assert len(fake.calls) == calls


@pytest.mark.parametrize(
    ("message", "again"),
    [
        ("Account https://localhost:14000/my-account/6e7d not found.", True),
        ('Unable to validate JWS :: Account is not valid, has status "deactivated"', True),
        ("urn:ietf:params:acme:error:accountDoesNotExist", True),
        ("connection: timeout", False),
    ],
)
def test_an_account_that_the_ca_lost_is_replaced(settings: Settings, fake: Certbot, message: str, again: bool) -> None:
    one = replace(settings, names=(GOOD,), directory="https://ca.internal/acme/directory")
    accounts = one.certbot / "accounts"
    accounts.mkdir(parents=True)
    fake.errors[GOOD] = [message]
    assert obtain.run(one, None, waits=False) == (not again)
    assert accounts.exists() is not again


@pytest.mark.parametrize("cuts", [[0], [100]])
def test_a_certificate_that_a_full_disk_cut_is_requested_again(
    settings: Settings, fake: Certbot, cuts: list[int]
) -> None:
    one = replace(settings, names=(GOOD,), directory="https://ca.internal/acme/directory")
    fake.cut = cuts
    assert obtain.run(one, None, waits=False) == 0
    assert len(fake.calls) == 2
    assert Pair.parse(settings.ready(GOOD).read_text())


def test_a_full_disk_ends_no_run(settings: Settings, fake: Certbot, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(obtain, "_offer", full)
        assert obtain.run(settings, None, waits=False) == 2
    assert "No space left" in Attempts.load(settings.record(OTHER)).reason
    assert obtain.run(settings, None, waits=False) == 0


@pytest.mark.parametrize("reason", ["y", "y" * 900])
def test_a_full_disk_keeps_the_reason(settings: Settings, monkeypatch: pytest.MonkeyPatch, reason: str) -> None:
    """A file that is there is overwritten; no new one can be written."""
    record = settings.record(GOOD)
    Attempts().failed(1, "x" * 100).save(record)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    Attempts().failed(2, reason).save(record)
    assert Attempts.load(record).reason == reason
    assert [path.name for path in record.parent.iterdir()] == [record.name]
    with pytest.raises(OSError, match="No such file"):
        Attempts().failed(2, "x").save(settings.record(OTHER))


def test_names_that_are_gone_are_forgotten(settings: Settings, fake: Certbot) -> None:
    obtain.run(settings, None, waits=False)
    less = replace(settings, names=(GOOD,))
    obtain.run(less, None, waits=False)
    assert certbot.lineages(settings) == {GOOD}
    assert not settings.ready(OTHER).exists()
    assert not settings.record(OTHER).exists()


def test_settings(tmp_path: Path) -> None:
    file = tmp_path / "acme.json"
    assert Settings.load(file) is None
    file.write_text(json.dumps({"names": ["a.example"], "newer": 1, "directory": "https://a.example/x y/dir"}))
    loaded = Settings.load(file)
    assert loaded
    assert loaded.certbot == Path("/var/lib/nginx-acme/private/a.example_x_y_dir")
    file.write_text("{}")
    with pytest.raises(SlipwayError, match="is damaged"):
        Settings.load(file)
