"""What nginx gets, and what it keeps."""

import json
import os
import stat
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from slipway.acme import install
from slipway.acme.attempts import Attempts
from slipway.acme.certificate import CertificateError, Pair, check
from slipway.acme.report import report, words
from slipway.acme.settings import Settings
from tests.acme.conftest import GOOD, OTHER, Nginx

TIMES = {"expired": (90, 91), "not yet": (90, -1)}


def offer(settings: Settings, name: str, text: str) -> str:
    settings.ready(name).write_text(text)
    return text


def serves(nginx: Nginx, text: str) -> bool:
    return Pair.parse(text).leaf in nginx.serves.values()


def test_each_name_begins_with_a_certificate_that_nobody_trusts(settings: Settings, nginx: Nginx) -> None:
    assert install.prepare(settings) == []
    for name in settings.names:
        assert stat.S_IMODE((settings.link(name) / install.KEY).stat().st_mode) == 0o640
        assert not (settings.link(name) / install.ISSUED).exists()
    assert install.install(settings) == {}
    assert nginx.reloads == 0


def test_one_name_is_served_and_the_other_waits(settings: Settings, nginx: Nginx, make: Callable[..., str]) -> None:
    text = offer(settings, GOOD, make(GOOD))
    assert install.install(settings) == {}
    assert serves(nginx, text)
    assert nginx.reloads == 1
    assert (settings.link(GOOD) / install.ISSUED).exists()
    assert not (settings.link(OTHER) / install.ISSUED).exists()
    install.install(settings)
    assert nginx.reloads == 1, "nothing is new"


def test_a_renewal_leaves_one_certificate_a_name(settings: Settings, nginx: Nginx, make: Callable[..., str]) -> None:
    for _ in range(3):
        text = offer(settings, GOOD, make(GOOD))
        assert install.install(settings) == {}
        assert serves(nginx, text)
    kept = sorted(path.name for path in (settings.served / install.STORE).iterdir())
    assert [name.partition("-")[0] for name in kept] == ["placeholder", GOOD]


def test_a_wildcard(settings: Settings, nginx: Nginx, make: Callable[..., str]) -> None:
    wild = replace(settings, names=("*.example.com",))
    nginx.settings = wild
    assert install.prepare(wild) == ["*.example.com"]
    text = offer(wild, "*.example.com", make("*.example.com"))
    assert install.install(wild) == {}
    assert serves(nginx, text)
    assert (settings.served / "_.example.com").is_symlink()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("name", f"it does not hold for {GOOD}: Hostname mismatch"),
        ("key", "it does not fit its key, or is damaged"),
        ("expired", f"it does not hold for {GOOD}: certificate has expired"),
        ("not yet", f"it does not hold for {GOOD}: certificate is not yet valid"),
        ("cut", "the file has 1 keys, and no certificate"),
        ("two keys", "the file has 2 keys, and a certificate"),
        ("no text", "the file has 0 keys"),
    ],
)
def test_what_is_not_as_it_should_be_changes_nothing(
    settings: Settings, nginx: Nginx, make: Callable[..., str], change: str, reason: str
) -> None:
    old = offer(settings, GOOD, make(GOOD))
    install.install(settings)
    new, other = make(GOOD), make(GOOD)
    key = other[: other.index("-----BEGIN CERTIFICATE")]
    texts = {
        "name": make(OTHER),
        "key": key + new[new.index("-----BEGIN CERTIFICATE") :],
        "cut": new[: new.index("-----END CERTIFICATE")],
        "two keys": key + new,
        "no text": "x",
    }
    offer(settings, GOOD, texts[change] if change in texts else make(GOOD, *TIMES[change]))
    problems = install.install(settings)
    assert list(problems) == [GOOD]
    assert problems[GOOD].startswith(reason)
    assert serves(nginx, old)
    assert nginx.reloads == 1
    assert (settings.link(GOOD) / install.ISSUED).exists()
    offer(settings, GOOD, new)
    assert install.install(settings) == {}
    assert serves(nginx, new)


def test_nginx_that_does_not_load_it_keeps_the_old_one(
    settings: Settings, nginx: Nginx, make: Callable[..., str]
) -> None:
    old = offer(settings, GOOD, make(GOOD))
    install.install(settings)
    nginx.refuses = True
    offer(settings, GOOD, make(GOOD))
    assert "nginx did not load it" in install.install(settings)[GOOD]
    assert Pair.parse(old).chain == (settings.link(GOOD) / install.CERTIFICATE).read_text()
    assert (settings.link(GOOD) / install.ISSUED).exists()


def test_an_interrupted_run_is_completed(
    settings: Settings, nginx: Nginx, make: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = offer(settings, GOOD, make(GOOD))
    with monkeypatch.context() as patch:
        patch.setattr(install, "_reload", lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            install.install(settings)
    assert not (settings.link(GOOD) / install.ISSUED).exists()
    assert install.install(settings) == {}
    assert serves(nginx, text)
    assert (settings.link(GOOD) / install.ISSUED).exists()


@pytest.mark.parametrize("kind", ["link", "fifo", "large", "foreign"])
def test_root_reads_no_file_but_certbots_own(
    settings: Settings,
    nginx: Nginx,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    make: Callable[..., str],
    kind: str,
) -> None:
    ready = settings.ready(GOOD)
    secret = tmp_path / "secret.pem"
    secret.write_text(make(GOOD))
    if kind == "link":
        ready.symlink_to(secret)
    elif kind == "fifo":
        os.mkfifo(ready)
    elif kind == "large":
        ready.write_text(make(GOOD) + "x" * install.MAX_BYTES)
    else:
        ready.write_text(make(GOOD))
        monkeypatch.setattr(install, "USER", "root" if os.getuid() else "daemon")
    assert list(install.install(settings)) == [GOOD]
    assert nginx.reloads == 0


def test_names_that_are_gone_leave_nothing(settings: Settings, nginx: Nginx, make: Callable[..., str]) -> None:
    for name in settings.names:
        offer(settings, name, make(name))
    install.install(settings)
    less = replace(settings, names=(GOOD,))
    nginx.settings = less
    install.install(less)
    assert not os.path.lexists(settings.link(OTHER))
    assert not list((settings.served / install.STORE).glob(f"{OTHER}*"))
    assert serves(nginx, settings.ready(GOOD).read_text())


def test_a_persons_certificate_serves_until_there_is_another(
    settings: Settings, make: Callable[..., str], nginx: Nginx
) -> None:
    third = replace(settings, names=("shop.example.com",))
    nginx.settings = third
    text = make("shop.example.com")
    live = install.PERSONS / "anything"
    live.mkdir(parents=True)
    (live / "privkey.pem").write_text(text[: text.index("-----BEGIN CERTIFICATE")])
    (live / "fullchain.pem").write_text(text[text.index("-----BEGIN CERTIFICATE") :])
    install.prepare(third)
    assert not (third.link("shop.example.com") / install.ISSUED).exists(), "nginx does not serve it yet"
    assert install.install(third) == {}
    assert serves(nginx, text)


def test_a_check_tells_from_when_to_when(make: Callable[..., str], tmp_path: Path) -> None:
    pair = Pair.parse(make(GOOD, 30))
    (tmp_path / "chain").write_text(pair.chain)
    (tmp_path / "key").write_text(pair.key)
    found = check(tmp_path / "chain", tmp_path / "key", GOOD)
    assert found.not_after - found.not_before == 30 * 86400
    with pytest.raises(CertificateError):
        check(tmp_path / "chain", tmp_path / "key", "example.com")


@pytest.mark.parametrize(
    ("days", "left", "reason", "state", "line"),
    [
        (90, 60, "", "valid", "valid until "),
        (90, 60, "dns: no such name", "failing", "; renewal fails since "),
        (90, 29, "", "expiring", "EXPIRES at "),
        (6, 1.9, "", "expiring", "EXPIRES at "),
        (90, -1, "connection: refused", "expired", "EXPIRED at "),
        (0, 0, "dns: no such name", "none", "no certificate yet, served by http; renewal fails since "),
    ],
)
def test_the_status_tells_days_before_it_matters(
    settings: Settings, nginx: Nginx, tmp_path: Path, days: float, left: float, reason: str, state: str, line: str
) -> None:
    file, now = tmp_path / "acme.json", time.time()
    values = {"names": [GOOD], "state": str(settings.state), "served": str(settings.served)}
    file.write_text(json.dumps(values))
    if days:
        end = now + left * 86400
        (settings.link(GOOD) / install.ISSUED).write_text(
            json.dumps({"not_before": end - days * 86400, "not_after": end})
        )
    if reason:
        Attempts().failed(now, reason).save(settings.record(GOOD))
    (found,) = report(file)
    assert (found["state"], found["reason"]) == (state, reason or None)
    assert line in words([found])[0]
    assert reason in words([found])[0]


def test_a_host_without_acme_has_none(tmp_path: Path) -> None:
    assert report(tmp_path / "missing.json") == []
