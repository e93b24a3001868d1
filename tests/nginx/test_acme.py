"""nginx_tls: acme: by http until a name has a certificate, then by https."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.nginx.conftest import NAME, Site

OTHER = "other.example"
FOLDERS = {NAME: NAME, OTHER: OTHER, "*.wild.example": "_.wild.example"}


@pytest.fixture(scope="module")
def site(serve: Callable[..., Site], certificate: dict[str, str]) -> Site:
    """Three names; each has the self-signed certificate of provisioning."""

    def prepare(etc: Path) -> None:
        for folder in FOLDERS.values():
            there = etc / "acme" / folder
            there.mkdir(parents=True)
            shutil.copy(certificate["nginx_tls_certificate"], there / "certificate.pem")
            shutil.copy(certificate["nginx_tls_key"], there / "key.pem")

    return serve(nginx_tls="acme", nginx_server_names=list(FOLDERS), prepare=prepare)


def ask(site: Site, path: str, host: str = NAME) -> httpx.Response:
    return httpx.get(f"{site.plain_url}{path}", headers={"Host": host})


def handshake(site: Site, host: str) -> int:
    """The exit status of curl for a name over https."""
    command = ["curl", "-sk", "--output", "/dev/null", "--resolve", f"{host}:{site.port}:127.0.0.1"]
    return subprocess.run([*command, f"https://{host}:{site.port}/request"], check=False, timeout=30).returncode


@pytest.fixture
def issued(site: Site) -> None:
    """The first name has a certificate of the CA."""
    (site.folder / "nginx/acme" / NAME / "issued.json").touch()


@pytest.fixture
def token(site: Site) -> str:
    """What certbot leaves for the CA."""
    folder = site.folder / "challenges/.well-known/acme-challenge"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "token_1-x").write_text("token.thumbprint")
    return "/.well-known/acme-challenge/token_1-x"


def test_http_serves_until_there_is_a_certificate(site: Site) -> None:
    answer = ask(site, "/request")
    assert answer.status_code == 200
    assert "Strict-Transport-Security" not in answer.headers


@pytest.mark.usefixtures("issued")
def test_each_name_redirects_for_itself(site: Site) -> None:
    answer = ask(site, "/a%20b/c?d=e&f=%2F")
    assert (answer.status_code, answer.headers["Location"]) == (308, f"https://{NAME}/a%20b/c?d=e&f=%2F")
    for other in (OTHER, "any.wild.example"):
        assert ask(site, "/request", other).status_code == 200
    assert ask(site, "/request", "wild.example").status_code == 421


@pytest.mark.usefixtures("issued")
@pytest.mark.parametrize("host", [NAME, OTHER])
def test_the_ca_gets_its_token_by_http(site: Site, token: str, host: str) -> None:
    """Also while the name redirects, and never the app's answer."""
    answer = ask(site, token, host)
    assert (answer.status_code, answer.text, answer.headers["Content-Type"]) == (200, "token.thumbprint", "text/plain")
    for missing in ("/.well-known/acme-challenge/", "/.well-known/acme-challenge/none"):
        assert ask(site, missing, host).status_code == 404


def test_nobody_asks_for_the_redirect_itself(site: Site) -> None:
    assert ask(site, "/.slipway/https", OTHER).status_code == 404


def test_names_of_nobody_get_no_certificate(site: Site) -> None:
    assert [handshake(site, name) for name in (NAME, OTHER, "any.wild.example")] == [0, 0, 0]
    assert handshake(site, "nobody.example") == 35
