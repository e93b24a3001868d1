"""`slipway maintenance`: clients get 503 with the message, some pass, and health checks go on; by a real nginx."""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from slipway.engine import maintenance
from tests.nginx.conftest import NAME, Site

CLIENT = {"Host": NAME, "X-Forwarded-For": "203.0.113.5"}
BROWSER = CLIENT | {"Accept": "text/html,*/*", "Sec-Fetch-Dest": "document"}
HOSTILE = """We're <b>back</b> "at" 5 $100 $uri \\u0041 %s & <!--# echo var="host" --> {};"""
SITE = {"nginx_trusted_proxies": ["127.0.0.1"], "nginx_maintenance_addresses": ["198.51.100.7", "2001:db8::/32"]}


@pytest.fixture
def site(serve: Callable[..., Site]) -> Iterator[Site]:
    """Clients are who X-Forwarded-For says."""
    site = serve(**SITE)
    yield site
    shutil.rmtree(site.folder / maintenance.FOLDER, ignore_errors=True)


def status(site: Site, address: str, path: str = "/request") -> int:
    return httpx.get(f"{site.url}{path}", headers=CLIENT | {"X-Forwarded-For": address}).status_code


def test_on_another_message_and_off_again(site: Site) -> None:
    assert status(site, "203.0.113.5") == 200
    for message in ("Back at 10", HOSTILE):
        maintenance.switch_on(site.folder, message, by="alice")
        problem = httpx.post(f"{site.url}/request?a=1", headers=CLIENT, content=b"x" * 100_000)
        assert (problem.status_code, problem.headers["Content-Type"]) == (503, "application/problem+json")
        assert problem.headers["Retry-After"] == "60"
        assert problem.json() == {
            "type": "about:blank",
            "status": 503,
            "title": "Down for maintenance",
            "detail": message,
            "request_id": problem.headers["X-Request-ID"],
        }
    page = httpx.get(f"{site.url}/", headers=BROWSER)
    assert (page.status_code, page.headers["Content-Type"], page.headers["Retry-After"]) == (503, "text/html", "60")
    assert "We&#x27;re &lt;b&gt;back&lt;/b&gt; &quot;at&quot; 5 $100 $uri" in page.text
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src")
    assert page.headers["X-Frame-Options"] == "DENY"
    assert maintenance.switch_off(site.folder)
    answer = httpx.get(f"{site.url}/request", headers=CLIENT)
    assert answer.status_code == 200
    assert "Retry-After" not in answer.headers


@pytest.mark.parametrize(
    ("address", "path", "expected"),
    [
        ("198.51.100.7", "/request", 200),
        ("2001:db8::9", "/request", 200),
        ("127.0.0.1", "/request", 200),  # the engine's probe
        ("198.51.100.8", "/request", 503),
        ("203.0.113.5", "/readyz/../request", 503),
        ("203.0.113.5", "/.slipway/maintenance", 503),
        ("203.0.113.5", "/.slipway/maintenance/on.json", 404),
        ("203.0.113.5", "/.slipway/errors/maintenance.json", 404),
        ("203.0.113.5", "/.slipway/other", 503),
    ],
)
def test_who_passes(site: Site, address: str, path: str, expected: int) -> None:
    maintenance.switch_on(site.folder, "Back soon", by="alice")
    assert status(site, address, path) == expected


@pytest.mark.parametrize("path", ["/readyz", "/livez"])
def test_health_checks_reach_the_app(site: Site, path: str) -> None:
    before = httpx.get(f"{site.url}{path}", headers=CLIENT)
    maintenance.switch_on(site.folder, "Back soon", by="alice")
    after = httpx.get(f"{site.url}{path}", headers=CLIENT)
    assert (after.status_code, after.text) == (before.status_code, before.text)
    assert after.status_code != 503


def test_nobody_who_may_pass_fails_while_it_is_switched(site: Site) -> None:
    for number in range(100):
        if number % 2:
            maintenance.switch_off(site.folder)
        else:
            maintenance.switch_on(site.folder, f"Message {number}", by="alice")
        assert status(site, "198.51.100.7") == 200
        assert status(site, "203.0.113.5") == (200 if number % 2 else 503)


def test_a_link_to_a_secret_is_not_served(site: Site, tmp_path: Path) -> None:
    """`deploy` writes the message, and nginx may read the certificate's key."""
    secret = tmp_path / "key.pem"
    secret.write_text("SECRET")
    maintenance.switch_on(site.folder, "Back soon", by="alice")
    for name in (maintenance.HTML, maintenance.JSON):
        file = site.folder / maintenance.FOLDER / name
        file.unlink()
        file.symlink_to(secret)
    for headers in (CLIENT, BROWSER):
        answer = httpx.get(f"{site.url}/request", headers=headers)
        assert answer.status_code == 503
        assert "SECRET" not in answer.text


def test_with_https_too(serve: Callable[..., Site], certificate: dict[str, str]) -> None:
    site = serve(nginx_tls="files", **certificate, **SITE)
    maintenance.switch_on(site.folder, "Back soon", by="alice")
    command = ["curl", "-sk", "--include", "--resolve", f"{NAME}:{site.port}:127.0.0.1"]
    command += ["--header", "X-Forwarded-For: 203.0.113.5", f"https://{NAME}:{site.port}/request"]
    head, _, body = (
        subprocess.run(command, capture_output=True, check=True, timeout=30).stdout.decode().partition("\r\n\r\n")
    )
    assert head.startswith("HTTP/2 503")
    assert "strict-transport-security: max-age=31536000" in head
    assert json.loads(body)["detail"] == "Back soon"
    maintenance.switch_off(site.folder)
