"""Sizes, headers and names: what fits, what nginx adds, and what it answers by itself."""

import json
import mimetypes
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.nginx.conftest import NAME, Site
from tests.nginx.raw import raw


@pytest.mark.parametrize("name", ["Cookie", "Authorization", "X-Token"])
def test_a_header_of_16_kb_arrives(site: Site, name: str) -> None:
    headers = dict(httpx.get(f"{site.url}/request", headers={name: "x" * 16384}).json()["headers"])
    assert headers[name.lower()] == "x" * 16384


def test_several_large_headers_arrive(site: Site) -> None:
    answer = httpx.get(f"{site.url}/request", headers={f"X-Token-{number}": "x" * 16384 for number in range(4)})
    assert sum(len(value) == 16384 for _, value in answer.json()["headers"]) == 4


def test_headers_that_are_too_large_are_named(site: Site) -> None:
    answer = httpx.get(f"{site.url}/request", headers={"Cookie": "x" * 40_000})
    assert (answer.status_code, answer.headers["Content-Type"]) == (431, "application/problem+json")
    assert answer.json()["status"] == 431
    assert answer.json()["title"] == "The request's headers are larger than this site accepts"
    page = httpx.get(f"{site.url}/request", headers={"Accept": "text/html", "Cookie": "x" * 40_000})
    assert "headers are larger" in page.text


@pytest.mark.parametrize("size", [16, 32])
def test_an_answers_headers_arrive(site: Site, size: int) -> None:
    answer = httpx.get(f"{site.url}/large-headers?size={size * 1024}")
    assert answer.status_code == 200
    assert len(answer.headers.get_list("Set-Cookie")) == size / 4


@pytest.mark.parametrize("megabytes", [5, 30])
def test_an_upload_arrives_by_default(site: Site, megabytes: int) -> None:
    answer = httpx.post(f"{site.url}/request", content=bytes(megabytes << 20), timeout=60)
    assert answer.json()["size"] == megabytes << 20


def test_one_variable_bounds_an_upload(serve: Callable[..., Site]) -> None:
    site = serve(nginx_body_size_mb=1)
    head = f"POST /request HTTP/1.1\nHost: {NAME}\nConnection: close\nContent-Length: {2 << 20}"
    status, headers, body = raw(site, head)
    assert (status, headers["content-type"]) == (413, "application/problem+json")
    assert json.loads(body)["title"] == "The request body is larger than this site accepts"


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (f"GET /request HTTP/1.1\nHost: {NAME}\nHost: {NAME}", 400),
        ("GET /request HTTP/1.1", 400),
        (f"POST /request HTTP/1.1\nHost: {NAME}\nContent-Length: many", 400),
        (f"TRACE /request HTTP/1.1\nHost: {NAME}\nConnection: close", 405),
        (f"POST /request HTTP/1.1\nHost: {NAME}\nTransfer-Encoding: many", 501),
        (f"GET /{'x' * 40_000} HTTP/1.1\nHost: {NAME}", 414),
        ("GET /request HTTP/1.1\nHost: other.example\nConnection: close", 421),
    ],
)
def test_what_nginx_refuses_has_a_title(site: Site, head: str, status: int) -> None:
    answered, headers, body = raw(site, head)
    assert (answered, headers["content-type"]) == (status, "application/problem+json")
    assert json.loads(body)["status"] == status
    assert json.loads(body)["title"] != "Error"


COMPRESSED = ["js", "mjs", "json", "webmanifest", "wasm", "svg", "css", "csv", "txt", "xml", "html", "ico", "bmp"]
"""As Python's mimetypes name them, whichever version: Starlette's StaticFiles asks it."""
APPLICATION_TYPES = [
    "application/javascript",
    "application/ld+json",
    "application/problem+json",
    "application/vnd.api+json",
    "application/rss+xml",
    "application/yaml",
    "font/ttf",
    "font/otf",
    "text/markdown",
    "text/calendar",
    "text/vtt",
]


@pytest.mark.parametrize(
    "media", [str(mimetypes.guess_type(f"name.{suffix}")[0]) for suffix in COMPRESSED] + APPLICATION_TYPES
)
def test_a_type_that_shrinks_is_compressed(site: Site, media: str) -> None:
    answer = httpx.get(f"{site.url}/file", params={"media": media}, headers={"Accept-Encoding": "gzip"})
    assert answer.headers.get("Content-Encoding") == "gzip"
    assert "Accept-Encoding" in answer.headers["Vary"]
    assert len(answer.content) == 4096


@pytest.mark.parametrize("media", ["image/png", "font/woff2", "video/mp4", "application/zip", "application/pdf"])
def test_a_type_that_is_compressed_already_is_left_alone(site: Site, media: str) -> None:
    answer = httpx.get(f"{site.url}/file", params={"media": media}, headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in answer.headers
    assert answer.headers["Content-Length"] == "4096"


@pytest.mark.parametrize(
    ("headers", "frame_options"),
    [
        ({}, "DENY"),
        ({"X-Frame-Options": "SAMEORIGIN"}, "SAMEORIGIN"),
        ({"Content-Security-Policy": "default-src 'self'"}, "DENY"),
        ({"Content-Security-Policy": "default-src 'self'; frame-ancestors https://partner.example"}, None),
        ({"Content-Security-Policy-Report-Only": "frame-ancestors 'none'"}, "DENY"),
    ],
)
def test_who_may_frame_a_page_is_the_apps_to_say(
    site: Site, headers: dict[str, str], frame_options: str | None
) -> None:
    answer = httpx.get(f"{site.url}/set-headers", params=headers)
    assert answer.headers.get("X-Frame-Options") == frame_options


def test_headers_with_underscores_are_one_variable(site: Site, serve: Callable[..., Site]) -> None:
    def arrived(where: Site) -> dict[str, str]:
        return dict(httpx.get(f"{where.url}/request", headers={"x_api_key": "k"}).json()["headers"])

    assert "x_api_key" not in arrived(site)
    assert arrived(serve(nginx_underscores_in_headers=True))["x_api_key"] == "k"


BEHIND_BALANCER: dict[str, Any] = {"nginx_trusted_proxies": ["127.0.0.1"], "nginx_client_scheme": "https"}
NAMES = {"nginx_server_names": [NAME]}
HEALTH_CHECKS = [
    "GET /request HTTP/1.0",
    "GET /request HTTP/1.1\nHost: 10.1.2.3\nConnection: close",
    "GET /request HTTP/1.1\nHost: 10.1.2.3:8080\nConnection: close",
    "GET /request HTTP/1.1\nHost: [fd00::5]:80\nConnection: close",
]


@pytest.mark.parametrize("head", HEALTH_CHECKS)
def test_a_balancers_health_check_reaches_the_app(serve: Callable[..., Site], head: str) -> None:
    status, _, body = raw(serve(**BEHIND_BALANCER, **NAMES), head)
    assert status == 200
    seen = json.loads(body)
    assert dict(seen["headers"])["host"] == NAME
    assert (seen["url"], seen["client"]) == (f"https://{NAME}/request", "127.0.0.1")


@pytest.mark.parametrize("head", HEALTH_CHECKS)
def test_nobody_elses_does(serve: Callable[..., Site], head: str) -> None:
    assert raw(serve(**NAMES), head)[0] == 421


@pytest.mark.parametrize(
    "head",
    [
        f"{HEALTH_CHECKS[1]}\nX-Forwarded-For: 192.0.2.7",
        "GET /request HTTP/1.1\nHost: other.example\nConnection: close",
    ],
)
def test_a_client_of_the_balancers_has_to_name_the_site(serve: Callable[..., Site], head: str) -> None:
    assert raw(serve(**BEHIND_BALANCER, **NAMES), head)[0] == 421


def test_a_client_of_the_balancers_is_seen_as_it_is(serve: Callable[..., Site]) -> None:
    headers = {"Host": NAME, "X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "http"}
    seen = httpx.get(f"{serve(**BEHIND_BALANCER, **NAMES).url}/request", headers=headers).json()
    assert (seen["client"], seen["url"]) == ("192.0.2.7", f"http://{NAME}/request")
