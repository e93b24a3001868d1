"""The links, asked of the real service with four workers, on SQLite and on Postgres."""

import asyncio
import json

import httpx
import pytest

from tests.app.service import Service

URL = "https://example.org/a?b=c#d"
CLICKS = 1000
CLIENTS = 20


def make(service: Service, url: str = URL) -> str:
    answer = httpx.post(f"{service.url}/links", json={"url": url})
    assert answer.status_code == 201
    return str(answer.json()["slug"])


def test_a_link_redirects_and_counts(service: Service) -> None:
    made = httpx.post(f"{service.url}/links", json={"url": URL})
    slug = made.json()["slug"]
    assert made.json() == {"slug": slug, "url": URL, "clicks": 0}
    assert made.headers["location"] == f"/links/{slug}"

    followed = httpx.get(f"{service.url}/{slug}")
    assert (followed.status_code, followed.headers["location"]) == (307, URL)
    assert followed.headers["cache-control"] == "no-store", "a browser that remembers the redirect is not counted"
    assert httpx.get(f"{service.url}/links/{slug}").json() == {"slug": slug, "url": URL, "clicks": 1}


def test_a_thousand_clicks_over_all_workers_are_a_thousand(service: Service) -> None:
    slug = make(service)
    pids = set()

    async def client() -> None:
        for _ in range(CLICKS // CLIENTS // 10):  # a new connection may reach another worker
            async with httpx.AsyncClient(base_url=service.url, timeout=30, verify=False) as http:
                pids.add((await http.get("/version")).json()["pid"])
                for _ in range(10):
                    assert (await http.get(f"/{slug}")).status_code == 307

    async def clients() -> None:
        await asyncio.gather(*(client() for _ in range(CLIENTS)))

    asyncio.run(clients())
    assert httpx.get(f"{service.url}/links/{slug}").json()["clicks"] == CLICKS
    assert len(pids) > 1, "one worker answered everything, so this proved nothing"


@pytest.mark.parametrize("path", ["/nope", "/links/nope", "/aaaaaaaa", "/links/aaaaaaaa", "/a/b", "/aaaaaaaa/"])
def test_what_is_not_there_is_a_problem(service: Service, path: str) -> None:
    answer = httpx.get(f"{service.url}{path}")
    assert answer.status_code == 404
    assert_problem(answer)


@pytest.mark.parametrize(
    "url",
    [
        "", "x", "ftp://example.org/", "javascript:alert(1)", "https://", "https://user:secret@example.org/",
        "https://example.org/\r\nSet-Cookie: a=b", "https://example.org/" + "a" * 2048, "https://bücher.example/",
        "https://example.org:65536/",
        "https://../", "https://[::1]/", None, 5,
    ],
)  # fmt: skip
def test_what_is_no_url_is_refused(service: Service, url: object) -> None:
    answer = httpx.post(f"{service.url}/links", json={"url": url})
    assert answer.status_code == 422
    assert_problem(answer)
    assert answer.json()["errors"][0].startswith("body.url: ")


def test_a_body_that_is_no_json_is_refused(service: Service) -> None:
    answer = httpx.post(f"{service.url}/links", content=b"\xff{", headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert_problem(answer)


def test_a_wrong_method_is_told_the_right_one(service: Service) -> None:
    answer = httpx.get(f"{service.url}/links")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert_problem(answer)


def test_version_tells_release_and_workers(service: Service) -> None:
    version = httpx.get(f"{service.url}/version").json()
    assert version["release"] == "20261122T105851-3f2a9c1"
    assert version["workers"] == 4
    assert httpx.get(f"{service.url}/livez").status_code == 200


def test_the_request_id_is_returned_and_in_the_log(service: Service) -> None:
    answer = httpx.post(f"{service.url}/links", json={"url": URL}, headers={"X-Request-ID": "from-nginx-1"})
    assert answer.headers["x-request-id"] == "from-nginx-1"
    lines = [json.loads(line) for line in service.logged().splitlines() if line.startswith("{")]
    (line,) = [line for line in lines if line.get("request_id") == "from-nginx-1"]
    assert (line["message"], line["slug"]) == ("link created", answer.json()["slug"])


@pytest.mark.parametrize("bad", ["", "a b", "a" * 65, 'x","level":"ERROR'])
def test_a_request_id_that_is_none_is_replaced(service: Service, bad: str) -> None:
    answer = httpx.get(f"{service.url}/livez", headers={"X-Request-ID": bad})
    assert answer.headers["x-request-id"] != bad
    assert len(answer.headers["x-request-id"]) == 32


def test_requests_are_not_logged_twice(service: Service) -> None:
    httpx.get(f"{service.url}/nope", headers={"X-Request-ID": "quiet-1"})
    assert "quiet-1" not in service.logged(), "nginx has the access log"


def assert_problem(answer: httpx.Response) -> None:
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == answer.status_code
    assert {"type", "title"} <= answer.json().keys()
    assert "x-request-id" in answer.headers
