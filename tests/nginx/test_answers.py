"""What nginx answers by itself: problem details, a page for browsers, and the headers that every answer has."""

import base64
import hashlib
import http.client
import json
import re
import subprocess
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace

import httpx
import pytest

from tests.nginx.conftest import NAME, Site
from tests.nginx.raw import raw

HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "strict-origin-when-cross-origin",
}
OF_SITE = [
    (f"GET /request HTTP/1.1\nHost: {NAME}\nHost: {NAME}", 400),
    (f"GET /request HTTP/1.1\nHost: {NAME}\nReferer: \x1b[0m", 400),
    (f"GET /.slipway/errors/error.json HTTP/1.1\nHost: {NAME}", 404),
    (f"TRACE /request HTTP/1.1\nHost: {NAME}", 405),
    (f"POST /request HTTP/1.1\nHost: {NAME}\nContent-Length: 99999999", 413),
    (f"GET /{'x' * 40_000} HTTP/1.1\nHost: {NAME}", 414),
    (f"GET /request HTTP/1.1\nHost: {NAME}\nCookie: {'x' * 40_000}", 431),
    (f"POST /request HTTP/1.1\nHost: {NAME}\nTransfer-Encoding: many", 501),
]
OF_NO_SITE = [
    ("GET /request HTTP/1.1", 400),
    ("GET /request", 400),
    ("GET /request HTTP/1.1\nHost: other.example", 421),
    ("GET /request HTTP/9.0\nHost: other.example", 505),
    ("TRACE /request HTTP/1.1\nHost: other.example", 405),
    (f"GET /{'x' * 40_000} HTTP/1.1\nHost: other.example", 414),
    (f"GET /request HTTP/1.1\nHost: other.example\nCookie: {'x' * 40_000}", 431),
]


def assert_own(site: Site, head: str, status: int) -> None:
    answered, headers, body = raw(site, f"{head}\nConnection: close" if "HTTP/" in head else f"{head} HTTP/x")
    assert (answered, headers["content-type"]) == (status, "application/problem+json")
    problem = json.loads(body)
    assert problem["status"] == status
    assert problem["title"] != "Error"
    assert problem["request_id"] == headers["x-request-id"]
    assert headers.items() >= HEADERS.items()
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize(("head", "status"), OF_SITE + OF_NO_SITE)
def test_each_is_a_problem_with_the_sites_headers(site: Site, head: str, status: int) -> None:
    assert_own(site, head, status)


@pytest.mark.parametrize(("head", "status"), [case for case in OF_SITE + OF_NO_SITE if case[1] not in {404, 413}])
def test_also_where_http_redirects_to_https(
    serve: Callable[..., Site], certificate: dict[str, str], head: str, status: int
) -> None:
    site = serve(nginx_tls="files", **certificate)
    assert_own(replace(site, port=site.plain_port), head, status)


def test_a_redirect_to_https_has_them(serve: Callable[..., Site], certificate: dict[str, str]) -> None:
    site = serve(nginx_tls="files", **certificate)
    status, headers, _ = raw(replace(site, port=site.plain_port), f"GET /a HTTP/1.1\nHost: {NAME}\nConnection: close")
    assert (status, headers["location"]) == (308, f"https://{NAME}/a")
    assert headers.items() >= HEADERS.items()


@pytest.mark.parametrize(("method", "status"), [("TRACE", 405), ("GET", 200)])
def test_by_http_2_too(serve: Callable[..., Site], certificate: dict[str, str], method: str, status: int) -> None:
    site = serve(nginx_tls="files", **certificate)
    command = ["curl", "-sk", "--http2", "--include", "--resolve", f"{NAME}:{site.port}:127.0.0.1"]
    command += ["--request", method, f"https://{NAME}:{site.port}/request"]
    output = subprocess.run(command, capture_output=True, check=True, timeout=30).stdout.decode()
    head, _, body = output.partition("\r\n\r\n")
    assert head.startswith(f"HTTP/2 {status}")
    assert "strict-transport-security: max-age=31536000" in head
    assert "x-frame-options: DENY" in head
    assert json.loads(body).get("status", 200) == status


@pytest.mark.parametrize(("seconds", "again"), [(None, False), (0, True)])
def test_a_page_for_a_browser_advises_what_helps(serve: Callable[..., Site], seconds: int | None, again: bool) -> None:
    """Headers that are too large are refused again."""
    site = serve(app_socket="/nonexistent.sock") if again else serve()
    headers = {"Accept": "text/html", **({} if again else {"Cookie": "x" * 40_000})}
    page = httpx.get(f"{site.url}/request", headers=headers)
    assert page.status_code == (502 if again else 431)
    assert ("Please try again in a moment." in page.text) is again
    style = re.search(r"<style>(.*?)</style>", page.text, re.DOTALL)
    assert style
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert page.headers["Content-Security-Policy"].startswith(f"default-src 'none'; style-src 'sha256-{digest}'; ")


JSON, PAGE = {"Content-Type": "application/json"}, {"Content-Type": "text/html; charset=utf-8"}
NOTHING = "default-src 'none'; frame-ancestors 'none'"
OTHERS = "frame-ancestors 'none'"


@pytest.mark.parametrize(
    ("headers", "policy", "shared_with"),
    [
        (JSON, NOTHING, "same-origin"),
        ({"Content-Type": "Application/JSON;charset=utf-8"}, NOTHING, "same-origin"),
        ({"Content-Type": "application/problem+json"}, NOTHING, "same-origin"),
        ({"Content-Type": "application/jsonlines"}, OTHERS, None),
        ({"Content-Type": "text/javascript"}, OTHERS, None),
        ({"Content-Type": "image/png"}, OTHERS, None),
        (PAGE, OTHERS, None),
        (PAGE | {"Content-Security-Policy": "default-src 'self'"}, "default-src 'self'", None),
        (PAGE | {"X-Frame-Options": "SAMEORIGIN"}, None, None),
        (PAGE | {"Content-Security-Policy-Report-Only": "default-src 'self'"}, OTHERS, None),
        (JSON | {"Content-Security-Policy": "default-src 'self'"}, "default-src 'self'", "same-origin"),
        (JSON | {"X-Frame-Options": "SAMEORIGIN"}, None, "same-origin"),
        (JSON | {"Cross-Origin-Resource-Policy": "cross-origin"}, NOTHING, "cross-origin"),
    ],
)
def test_an_apps_own_policy_stands(
    site: Site, headers: dict[str, str], policy: str | None, shared_with: str | None
) -> None:
    answer = httpx.get(f"{site.url}/set-headers", params=headers)
    assert answer.headers["Content-Type"].lower() == headers["Content-Type"].lower()
    assert answer.headers.get_list("Content-Security-Policy") == ([policy] if policy else [])
    assert answer.headers.get_list("Cross-Origin-Resource-Policy") == ([shared_with] if shared_with else [])


def test_a_page_whose_address_reads_like_a_type_is_a_page(site: Site) -> None:
    answer = httpx.get(f"{site.url}/set-headers/application/json;:application/json:", params=PAGE)
    assert answer.headers["Content-Security-Policy"] == OTHERS


BARE = [b"3\nabc\n0\n\n", b"3\r\nabc\n0\r\n\r\n", b"3\nabc\r\n0\n\r\n", b"3;x\nabc\r\n0\r\n\n"]


@pytest.mark.parametrize("body", BARE)
def test_chunks_that_end_in_a_bare_lf_are_no_way_to_smuggle(site: Site, body: bytes) -> None:
    """A body is decoded by nginx and sent with its length: how the app reads ends of lines does not matter."""
    status, _, answer = raw(
        site, f"POST /request HTTP/1.1\nHost: {NAME}\nTransfer-Encoding: chunked\nConnection: close", body
    )
    assert status in {200, 400}
    if status == 200:
        seen = json.loads(answer)
        headers = dict(seen["headers"])
        assert (seen["size"], headers["content-length"]) == (3, "3")
        assert "transfer-encoding" not in headers


def test_a_client_says_nothing_about_the_apps_traces(site: Site) -> None:
    sent = {"Traceparent": f"00-{'1' * 32}-{'2' * 16}-01", "Tracestate": "a=b", "Baggage": "user=root"}
    headers = dict(httpx.get(f"{site.url}/request", headers=sent).json()["headers"])
    assert headers["x-request-id"]
    assert headers.keys().isdisjoint({"traceparent", "tracestate", "baggage"})


@pytest.fixture(scope="module")
def rsa(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A certificate with an RSA key, as variables of the role."""
    folder = tmp_path_factory.mktemp("rsa")
    files = {"nginx_tls_certificate": str(folder / "certificate.pem"), "nginx_tls_key": str(folder / "key.pem")}
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", f"/CN={NAME}"]
    command += ["-keyout", files["nginx_tls_key"], "-out", files["nginx_tls_certificate"]]
    subprocess.run(command, check=True, capture_output=True)
    return files


@pytest.mark.parametrize(
    ("ciphers", "accepted"),
    [
        ("AES128-SHA", False),
        ("AES256-GCM-SHA384", False),  # without forward secrecy
        ("ECDHE-RSA-AES128-SHA", False),  # CBC
        ("ECDHE-RSA-AES128-GCM-SHA256", True),
        ("ECDHE-RSA-CHACHA20-POLY1305", True),
    ],
)
def test_tls_1_2_has_forward_secrecy_and_aead_only(
    serve: Callable[..., Site], rsa: dict[str, str], ciphers: str, accepted: bool
) -> None:
    site = serve(nginx_tls="files", **rsa)
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{site.port}", "-servername", NAME, "-tls1_2"]
    done = subprocess.run([*command, "-cipher", ciphers], input=b"", capture_output=True, check=False, timeout=30)
    assert (done.returncode == 0) is accepted


@pytest.mark.parametrize(("client", "expected"), [("127.0.0.1", 200), ("127.0.0.2", 403)])
def test_counters_are_told_to_one_address(site: Site, client: str, expected: int) -> None:
    with closing(
        http.client.HTTPConnection("127.0.0.1", site.plain_port, 20, source_address=(client, 0))
    ) as connection:
        connection.request("GET", "/.slipway/stub_status", headers={"Host": "slipway.invalid"})
        answer = connection.getresponse()
        assert answer.status == expected
        assert answer.read().startswith(b"Active connections:") == (expected == 200)
