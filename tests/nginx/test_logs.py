"""What clients write into the logs: bounded lines of text."""

from collections.abc import Callable
from urllib.parse import quote

import pytest

from tests.nginx.conftest import NAME, Site
from tests.nginx.raw import logged, raw

LARGEST = 5000
"""Bytes of a line, however large the request is."""
HEAD = f"GET /request HTTP/1.1\nHost: {NAME}\nConnection: close\n".encode()


@pytest.mark.parametrize("filling", [b'"', b"\\", b"x", "\u00e9".encode(), "\U0001f600".encode()])
def test_a_large_request_has_a_short_line(site: Site, filling: bytes) -> None:
    """These are escaped as two bytes each. A line may not be an amplifier."""
    value = filling * (7000 // len(filling))
    head = b"GET /request?" + value + HEAD[12:] + b"Referer: " + value + b"\nUser-Agent: " + value
    status, headers, _ = raw(site, head)
    line, entry = logged(site, headers["x-request-id"])
    # The app's server refuses some of these: it is not the log's matter.
    assert status in {200, 400, 502}
    assert len(line) < LARGEST < len(head)
    for name in ("uri", "referrer", "user_agent"):
        assert entry[name].endswith("...")
        assert len(entry[name]) > 70


@pytest.mark.parametrize("name", ["X" * 7000, "x" * 7000 + ".example"])
def test_method_and_host_are_bounded_too(site: Site, name: str) -> None:
    for head in (f"{name.upper()[:1500].replace('.', '-')} / HTTP/1.1\nHost: {NAME}", f"GET / HTTP/1.1\nHost: {name}"):
        _, headers, _ = raw(site, f"{head}\nConnection: close")
        assert len(logged(site, headers["x-request-id"])[0]) < LARGEST


def test_what_fits_is_logged_as_it_is(site: Site) -> None:
    head = "GET /request?a=%1B&b=caf\u00e9 HTTP/1.1\nReferer: https://a.example/\u00fc\nUser-Agent: \u4e16 (x)\nConnection: close"
    _, headers, _ = raw(site, f"{head}\nHost: {NAME}")
    entry = logged(site, headers["x-request-id"])[1]
    assert entry["uri"] == "/request?a=%1B&b=caf\u00e9"
    assert (entry["referrer"], entry["user_agent"]) == ("https://a.example/\u00fc", "\u4e16 (x)")
    assert (entry["host"], entry["method"]) == (NAME, "GET")


NOT_TEXT = [
    b"\x1b[31m",  # escapes of terminals
    b"\x07",
    b"\x7f",
    "\u009b31m".encode(),  # the same as one character
    b"\xff",
    b"\xe9t\xe9",  # Latin-1
    b"\xed\xa0\x80",  # a surrogate
    b"\xc0\xaf",  # a slash, longer than it has to be
    b"\xf4\x90\x80\x80",
    b"\xe2\x82",
]


@pytest.mark.parametrize("value", NOT_TEXT)
@pytest.mark.parametrize("place", ["uri", "referrer", "host"])
def test_what_is_no_text_is_refused(site: Site, place: str, value: bytes) -> None:
    """It would be in error.log as it is."""
    heads = {
        "uri": b"GET /request?before" + value + HEAD[12:],
        "referrer": HEAD + b"Referer: before" + value + b"\n",
        "host": HEAD.replace(NAME.encode(), b"before" + value),
    }
    status, headers, body = raw(site, heads[place][:-1])
    assert status == 400, body
    assert headers["content-type"] == "application/problem+json"
    line = logged(site, headers["x-request-id"])[0].decode()
    assert line.isprintable()


@pytest.mark.parametrize("value", NOT_TEXT)
def test_other_headers_reach_the_app_and_not_the_log(site: Site, value: bytes) -> None:
    """Latin-1 is still seen in a User-Agent."""
    _, headers, _ = raw(site, HEAD + b"User-Agent: before" + value)
    line, entry = logged(site, headers["x-request-id"])
    assert line.decode().isprintable()
    assert entry["user_agent"] == "before..."


@pytest.mark.parametrize("value", NOT_TEXT)
def test_error_log_is_text(serve: Callable[..., Site], value: bytes) -> None:
    """Its lines have the request, the host and the referrer."""
    site = serve(app_socket="/nonexistent.sock", nginx_body_size_mb=1)
    for head in (
        b"GET /request?" + value + HEAD[12:],
        HEAD + b"Referer: " + value + b"\n",
        HEAD.replace(NAME.encode(), value),
        HEAD + b"User-Agent: " + value + b"\n",
        HEAD.replace(b"GET", b"POST") + b"Content-Length: 9999999\nReferer: " + value + b"\n",
    ):
        raw(site, head[:-1])
    text = (site.folder / "error.log").read_bytes().decode()
    assert all(line.isprintable() for line in text.splitlines())
    assert "failed (2: No such file or directory)" in text


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("/links/{slug}", "/links/{slug}"),
        ("/" + "x" * 127, "/" + "x" * 127),
        ("/" + "x" * 128, ""),
        ('/a"b', ""),
        ("/a\\b", ""),
        ("", ""),
    ],
)
def test_the_route_is_logged_and_kept_from_the_client(site: Site, value: str, expected: str) -> None:
    head = f"GET /set-headers?X-Slipway-Route={quote(value)} HTTP/1.1\nHost: {NAME}\nX-Slipway-Route: /of/the/client\nConnection: close"
    _, headers, _ = raw(site, head)
    assert "x-slipway-route" not in headers
    assert logged(site, headers["x-request-id"])[1]["route"] == expected
