"""HEAD wherever there is GET, what a browser may do with an answer, and what the internet is told."""

import json
import re
import time
from typing import Any

import httpx
import pytest

from app.content_policy import NOTHING
from tests.app.service import Service


@pytest.fixture
def slug(service: Service) -> str:
    return str(httpx.post(f"{service.url}/links", json={"url": "https://example.org/"}).json()["slug"])


def test_every_get_has_a_head(service: Service, slug: str) -> None:
    paths = httpx.get(f"{service.url}/openapi.json").json()["paths"]
    gets = [path.replace("{slug}", slug) for path, methods in paths.items() if "get" in methods]
    assert len(gets) > 6
    for path in [*gets, "/docs", "/redoc", "/openapi.json", "/nothing-here"]:
        head, get = (httpx.request(method, f"{service.url}{path}", timeout=30) for method in ("HEAD", "GET"))
        assert head.status_code == get.status_code, path
        assert head.content == b""
        assert head.headers.get("content-type") == get.headers.get("content-type")
        assert head.headers["x-request-id"]


def test_a_stream_ends_after_its_headers(service: Service) -> None:
    """And the connection serves the next request at once."""
    with httpx.Client(base_url=service.url, timeout=30) as client:
        began = time.monotonic()
        assert client.head("/events?count=3000").status_code == 200
        assert client.get("/livez").status_code == 200
        assert time.monotonic() - began < 10


def test_only_get_has_a_head(service: Service) -> None:
    assert httpx.head(f"{service.url}/links").status_code == 405


@pytest.mark.parametrize(
    "path", ["/livez", "/readyz", "/version", "/nothing-here", "/links/nothing0", "/slow?seconds=-1"]
)
def test_answers_allow_a_browser_nothing(service: Service, path: str) -> None:
    assert httpx.get(f"{service.url}{path}").headers["content-security-policy"] == NOTHING


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_a_page_allows_what_it_has(service: Service, path: str) -> None:
    answer = httpx.get(f"{service.url}{path}")
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    scripts = re.findall(r'<script src="([^"]+)"', answer.text)
    styles = [tag for tag in re.findall(r"<link[^>]+>", answer.text) if "stylesheet" in tag]
    assert scripts
    assert set(scripts) <= set(policy["script-src"].split())
    assert "unsafe-inline" not in policy["script-src"]
    assert policy["script-src"].count("sha256-") == len(re.findall("<script>", answer.text))
    for tag in styles:
        address = re.search(r'href="([^"?]+)', tag)
        assert address
        assert address[1] in policy["style-src"].split()
    assert (policy["default-src"], policy["frame-ancestors"]) == ("'none'", "'none'")


def told(service: Service, path: str, **headers: str) -> Any:
    return httpx.get(f"{service.url}{path}", headers=headers).json()


@pytest.mark.parametrize("client", ["8.8.8.8", "2606:4700::1111"])
def test_the_internet_is_told_no_release_and_no_pool(service: Service, client: str) -> None:
    assert told(service, "/version", **{"X-Forwarded-For": client}) == {}
    assert told(service, "/readyz", **{"X-Forwarded-For": client}) == {"status": "ok"}
    events = httpx.get(f"{service.url}/events?count=1", headers={"X-Forwarded-For": client}).text
    assert json.loads(next(line for line in events.splitlines() if line.startswith("data:"))[5:]) == {
        "n": 0,
        "release": "",
    }


@pytest.mark.parametrize("client", ["127.0.0.1", "10.1.2.3", "172.17.0.1", "::1", "fd00::1"])
def test_the_host_and_private_networks_are(service: Service, client: str) -> None:
    assert told(service, "/version", **{"X-Forwarded-For": client})["release"] == "20261122T105851-3f2a9c1"
    assert "pool" in told(service, "/readyz", **{"X-Forwarded-For": client})
