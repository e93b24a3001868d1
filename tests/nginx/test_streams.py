"""What the app sends without a length is passed on as it comes: to each client, compressed or not."""

import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path

import httpx
import pytest

from tests.nginx.clients import CLIENTS, Request, with_curl, with_httpx, with_javascript, with_openai
from tests.nginx.conftest import NAME, Site
from tests.nginx.streaming_app import LARGE_BYTES, PARTS, PAUSE_SECONDS, sent

SENT_IN = (PARTS - 1) * PAUSE_SECONDS
ENCODINGS = ("identity", "gzip, deflate, br, zstd")
MEDIA = ("text/plain", "application/json", "text/html", "application/x-ndjson", "text/csv", "text/event-stream")


def assert_as_it_comes(read: Callable[[Request], list[float]], request: Request) -> None:
    """Half of the time between the first part and the last one is the margin of a busy machine; held back, it is 0."""
    arrived = read(request)
    assert len(arrived) == PARTS
    assert arrived[-1] - arrived[0] > SENT_IN / 2, "the parts came together"


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("client", CLIENTS)
def test_each_client_reads_a_stream(site: Site, client: str, encoding: str) -> None:
    assert_as_it_comes(CLIENTS[client], ("GET", f"{site.url}/stream", {"Accept-Encoding": encoding}))


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("media", MEDIA)
def test_each_type_streams(site: Site, media: str, encoding: str) -> None:
    assert_as_it_comes(with_httpx, ("GET", f"{site.url}/stream?media={media}", {"Accept-Encoding": encoding}))


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("client", ["httpx", "requests", "curl", "fetch"])
def test_a_stream_of_events_is_posted_for(site: Site, client: str, encoding: str) -> None:
    url = f"{site.url}/stream?media=text/event-stream"
    assert_as_it_comes(CLIENTS[client], ("POST", url, {"Accept-Encoding": encoding}))


def test_event_source(site: Site) -> None:
    url = f"{site.url}/stream?media=text/event-stream"
    assert_as_it_comes(with_javascript("EventSource"), ("GET", url, {"Accept-Encoding": ""}))


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_openai_client(site: Site, encoding: str) -> None:
    assert_as_it_comes(with_openai, ("POST", f"{site.url}/stream", {"Accept-Encoding": encoding}))


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_page_streams_to_a_browser(site: Site, encoding: str) -> None:
    headers = {"Accept": "text/html", "Sec-Fetch-Dest": "document", "Accept-Encoding": encoding}
    assert_as_it_comes(with_curl, ("GET", f"{site.url}/stream?media=text/html", headers))


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_over_https_by_http_1_and_2(serve: Callable[..., Site], certificate: dict[str, str], encoding: str) -> None:
    site = serve(nginx_tls="files", **certificate)
    by_name = ("--resolve", f"{NAME}:{site.port}:127.0.0.1")
    for version in ("--http1.1", "--http2"):
        client = partial(with_curl, options=(*by_name, version))
        assert_as_it_comes(client, ("GET", f"https://{NAME}:{site.port}/stream", {"Accept-Encoding": encoding}))


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_an_answer_that_ends_with_its_connection_streams(
    serve: Callable[..., Site], tmp_path: Path, encoding: str
) -> None:
    """As servers of HTTP/1.0 answer: neither Content-Length nor chunks."""
    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(str(tmp_path / "app.sock"))
        listener.listen()

        def answer() -> None:
            connection, _ = listener.accept()
            with closing(connection):
                connection.recv(4096)
                connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\npart 0\n")
                for number in range(1, PARTS):
                    time.sleep(PAUSE_SECONDS)
                    connection.sendall(f"part {number}\n".encode())

        thread = threading.Thread(target=answer)
        thread.start()
        site = serve(app_socket=tmp_path / "app.sock")
        assert_as_it_comes(with_httpx, ("GET", site.url, {"Accept-Encoding": encoding}))
        thread.join()


def test_what_the_app_compressed_itself_keeps_its_encoding(site: Site) -> None:
    with httpx.stream("GET", f"{site.url}/encoded?encoding=br", headers={"Accept-Encoding": "br"}) as answer:
        assert answer.headers["Content-Encoding"] == "br"
        assert b"".join(answer.iter_raw()).startswith(b"part 0")


@pytest.mark.parametrize(
    ("variable", "header", "taken"), [(False, "yes", True), (False, "", False), (True, "", True), (True, "no", False)]
)
def test_nginx_takes_a_large_answer_where_one_says_so(
    serve: Callable[..., Site], variable: bool, header: str, taken: bool
) -> None:
    """So that the app is free before a slow reader has read it."""
    name, site = f"{variable}-{header}", serve(nginx_buffer_answers=variable)
    with httpx.stream("GET", f"{site.url}/large?name={name}&buffering={header}", timeout=60) as answer:
        deadline = time.monotonic() + (30 if taken else 1)
        while name not in sent and time.monotonic() < deadline:
            time.sleep(0.05)
        assert (name in sent) == taken
        assert sum(map(len, answer.iter_raw())) == LARGE_BYTES


SILENCE_SECONDS = 8
"""Longer than app_request_timeout (1 in these tests) and 5."""


def test_silence_is_cut_in_pages_only(site: Site) -> None:
    """Whatever Accept says. The requests wait side by side."""

    def get(path: str, **headers: str) -> int | str:
        """Return the body's length, the status of an error, or that the answer broke off."""
        try:
            answer = httpx.get(site.url + path, headers=headers, timeout=60)
        except httpx.RemoteProtocolError:
            return "cut"
        return len(answer.content) if answer.is_success else f"status {answer.status_code}"

    silent_stream, late_answer = f"/stream?silence={SILENCE_SECONDS}&media=", f"/silent?seconds={SILENCE_SECONDS}"
    page = {"Sec-Fetch-Dest": "document", "Accept": "text/html"}
    with ThreadPoolExecutor(16) as pool:
        streams = [
            pool.submit(get, silent_stream + media, Accept=accept, **{"Accept-Encoding": encoding})
            for media in ("text/plain", "application/json")
            for accept in ("*/*", "text/html", "text/event-stream")
            for encoding in ENCODINGS
        ]
        events = pool.submit(get, silent_stream + "text/event-stream", Accept="application/json")
        fetched = pool.submit(get, late_answer, **{"Sec-Fetch-Dest": "empty"})
        pages = [pool.submit(get, path, **page) for path in (late_answer, silent_stream + "text/html")]
    length = len("part 0\n") * PARTS
    assert [each.result() for each in streams] == [length] * len(streams)
    assert events.result() == len("data: part 0\n\n") * PARTS
    assert fetched.result() == len("late")
    assert [each.result() for each in pages] == ["status 504", "cut"]


def test_one_variable_bounds_the_silence(serve: Callable[..., Site]) -> None:
    site = serve(nginx_stream_timeout=1)
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(f"{site.url}/stream?silence=5", timeout=60)
    assert httpx.get(f"{site.url}/silent?seconds=5", timeout=60).status_code == 504
