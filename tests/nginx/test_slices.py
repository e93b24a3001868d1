"""Which slice gets a request: a tenth go to the canary, and no client can tell which."""

import json
from collections import Counter
from itertools import pairwise

import httpx

from tests.nginx.conftest import Site

REQUESTS = 1500


def slices(site: Site, path: str, headers: dict[str, str]) -> list[str]:
    """The slices of requests on one connection, so of one of nginx's workers, in order."""
    with httpx.Client(base_url=site.url, headers=headers) as client:
        for _ in range(REQUESTS):
            client.head(path)
    lines = [json.loads(line) for line in (site.folder / "access.log").read_text().splitlines()]
    return [line["slice"] for line in lines if line["uri"] == path]


def test_whose_turn_is_the_canarys_cannot_be_foreseen(site: Site) -> None:
    """By round-robin, or by what the client sends, it could be."""
    given = slices(site, "/request?slices", {"X-Request-ID": "0" * 32})
    assert len(given) == REQUESTS
    canary = [index for index, name in enumerate(given) if name == "canary"]
    # Six standard deviations of a random tenth.
    assert 80 < len(canary) < 220
    gaps = Counter(after - before for before, after in pairwise(canary))
    assert len(gaps) > 15, gaps
    # Right after one, the next is as likely as ever.
    assert gaps[1] > 1, gaps


def test_posts_are_divided_alike(site: Site) -> None:
    with httpx.Client(base_url=site.url) as client:
        for _ in range(300):
            client.post("/request?posts")
    lines = [json.loads(line) for line in (site.folder / "access.log").read_text().splitlines()]
    given = Counter(line["slice"] for line in lines if line["uri"] == "/request?posts")
    assert set(given) == {"live", "canary"}
    assert 5 < given["canary"] < 80
