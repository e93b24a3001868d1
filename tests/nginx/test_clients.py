"""How much one client may have, and who counts as one."""

import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import httpx
import pytest

from tests.nginx.conftest import NAME, Site

OTHERS = ["2001:db8:0:2::1", "2001:db8:0:0:1::", "::ffff:192.0.2.1", "::ffff:192.0.2.2", "192.0.2.3", "fe80::1", "::1"]


def statuses(site: Site, *clients: str, path: str = "/request") -> list[int]:
    """The statuses of one request from each of these addresses, all at once."""
    with ThreadPoolExecutor(len(clients)) as pool:
        sent = [
            pool.submit(httpx.get, f"{site.url}{path}", headers={"X-Forwarded-For": client}, timeout=30)
            for client in clients
        ]
        return [each.result().status_code for each in sent]


def test_a_network_of_64_bits_is_one_client(serve: Callable[..., Site]) -> None:
    """A subscriber has 2^64 addresses."""
    site = serve(nginx_trusted_proxies=["127.0.0.1"], nginx_connections_per_address=2)
    one = [f"2001:db8:0:1:{number}::{number}" for number in range(1, 5)]
    assert sorted(statuses(site, *one, path="/silent?seconds=1")) == [200, 200, 429, 429]


def test_every_other_network_is_another_client(serve: Callable[..., Site]) -> None:
    site = serve(nginx_trusted_proxies=["127.0.0.1"], nginx_connections_per_address=1)
    assert statuses(site, *OTHERS, path="/silent?seconds=1") == [200] * len(OTHERS)


def test_a_client_of_http_2_that_obeys_is_never_refused(
    serve: Callable[..., Site], certificate: dict[str, str]
) -> None:
    """A connection offers 128 streams."""
    site = serve(nginx_tls="files", **certificate)
    command = ["curl", "-sk", "--http2", "--parallel", "--parallel-max", "128", "--max-time", "60"]
    command += ["--resolve", f"{NAME}:{site.port}:127.0.0.1", "--write-out", "%{http_code}\\n", "--output", "/dev/null"]
    command += [f"https://{NAME}:{site.port}/silent?seconds=0.5&n=[1-300]"]
    output = subprocess.run(command, capture_output=True, check=True, timeout=90).stdout.decode()
    assert output.split() == ["200"] * 300


def test_a_client_that_is_too_quick_is_told_so(serve: Callable[..., Site]) -> None:
    """Twice the rate for a moment, then 429, and the log has few of those."""
    site = serve(nginx_request_rate=1)
    with httpx.Client(base_url=site.url) as client:
        answers = [client.get("/request?rate") for _ in range(100)]
        page = client.get("/request?rate", headers={"Accept": "text/html"})
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(refused) > 50
    assert refused[0].headers["Retry-After"] == "1"
    assert refused[0].headers["Content-Type"] == "application/problem+json"
    assert "nginx_request_rate" in refused[0].json()["title"]
    assert "nginx_request_rate" in page.text
    lines = [json.loads(line) for line in (site.folder / "access.log").read_text().splitlines()]
    assert sum(line["status"] == 200 for line in lines) == len(answers) - len(refused)
    assert sum(line["status"] == 429 for line in lines) < len(refused) / 5


REFILL_SECONDS = 2.5
"""With a rate of 1: the request that found nginx ready is forgotten, and two more are allowed."""


def test_every_answer_counts(serve: Callable[..., Site]) -> None:
    """Not only what reaches the app: a refusal is a line in the log, too."""
    site = serve(nginx_request_rate=1)
    time.sleep(REFILL_SECONDS)
    with httpx.Client(base_url=site.url, headers={"Host": "other.example"}) as client:
        given = [client.get("/").status_code for _ in range(100)]
    assert set(given) == {421, 429}
    assert given.count(429) > 50


def test_a_redirect_to_https_counts(serve: Callable[..., Site], certificate: dict[str, str]) -> None:
    site = serve(nginx_tls="files", nginx_request_rate=1, **certificate)
    time.sleep(REFILL_SECONDS)
    with httpx.Client(base_url=site.plain_url, headers={"Host": NAME}) as client:
        given = [client.get("/a?b=c") for _ in range(100)]
    assert given[0].headers["Location"] == f"https://{NAME}/a?b=c"
    statuses = [answer.status_code for answer in given]
    assert set(statuses) == {308, 429}
    assert statuses.count(429) > 50


@pytest.mark.parametrize("rate", [0, 1000])
def test_the_default_and_none_leave_a_quick_client_alone(serve: Callable[..., Site], rate: int) -> None:
    site = serve(nginx_request_rate=rate)
    with httpx.Client(base_url=site.url) as client:
        assert {client.get("/file?media=text/plain").status_code for _ in range(200)} == {200}


LARGE = 1_000_000
"""Bytes of a body that is an upload."""


@contextmanager
def uploads(
    site: Site, number: int, head: str = f"Content-Length: {LARGE}", client: str = "192.0.2.1"
) -> Iterator[None]:
    """Hold requests whose bodies do not end."""
    with ExitStack() as stack:
        for _ in range(number):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", site.port), timeout=20))
            lines = f"POST /request HTTP/1.1\nHost: {NAME}\nX-Forwarded-For: {client}\n{head}\n\n"
            connection.sendall(lines.replace("\n", "\r\n").encode())
        time.sleep(0.5)
        yield


@pytest.fixture
def uploading(serve: Callable[..., Site]) -> Site:
    """A site where a client may have two uploads, and all together three."""
    return serve(nginx_trusted_proxies=["127.0.0.1"], nginx_uploads_per_address=2, nginx_uploads=3)


def upload(site: Site, size: int = LARGE, client: str = "192.0.2.1", *, chunked: bool = False) -> httpx.Response:
    """Send a body."""
    body = bytes(size)
    headers = {"X-Forwarded-For": client}
    content = iter([body]) if chunked else body
    return httpx.post(f"{site.url}/request", content=content, headers=headers, timeout=30)


@pytest.mark.parametrize("head", [f"Content-Length: {LARGE}", "Transfer-Encoding: chunked"])
def test_uploads_at_once_are_limited_by_client(uploading: Site, head: str) -> None:
    """Their bodies are on the disk."""
    with uploads(uploading, 2, head):
        refused = [upload(uploading), upload(uploading, 10, chunked=True)]
        assert [answer.status_code for answer in refused] == [429, 429]
        assert refused[0].json()["title"] == "Too many uploads at once"
        assert upload(uploading, LARGE // 2).status_code == 200
        assert httpx.get(f"{uploading.url}/request", headers={"X-Forwarded-For": "192.0.2.1"}).status_code == 200
        assert upload(uploading, client="192.0.2.2").status_code == 200
    deadline = time.monotonic() + 20
    while upload(uploading).status_code != 200:
        assert time.monotonic() < deadline


def test_uploads_at_once_are_limited_in_all(uploading: Site) -> None:
    with uploads(uploading, 2, client="192.0.2.3"), uploads(uploading, 1, client="192.0.2.4"):
        assert upload(uploading, client="192.0.2.5").status_code == 429


def test_an_upload_by_http_2_counts_without_a_length(serve: Callable[..., Site], certificate: dict[str, str]) -> None:
    site = serve(nginx_tls="files", nginx_uploads_per_address=1, **certificate)
    command = ["curl", "-sk", "--http2", "--resolve", f"{NAME}:{site.port}:127.0.0.1", "--write-out", "%{http_code}"]
    command += [
        "--output",
        "/dev/null",
        "--request",
        "POST",
        "--upload-file",
        "-",
        f"https://{NAME}:{site.port}/request",
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as first:
        time.sleep(1)
        second = subprocess.run(command, input=b"x", capture_output=True, check=True, timeout=30)
        assert second.stdout == b"429"
        assert first.communicate(b"x", timeout=30)[0] == b"200"
