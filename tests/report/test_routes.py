"""Routes: which segments are ids."""

import pytest

from slipway.report.routes import fold, route
from slipway.report.tally import Tally


@pytest.mark.parametrize(
    "segment",
    [
        "7",
        "2026-11-29",
        "10.0.0.1",
        "deadbeef1",
        "6f1ed002-ab55-4a1c-8d3c-1f2e3d4c5b6a",
        "a8Kd3f",
        "01arz3ndektsv4rrffq69g5fav",
        "x" * 40,
    ],
)
def test_an_id_is_replaced(segment: str) -> None:
    assert route("GET", f"/users/{segment}/posts?page=2") == "GET /users/{id}/posts"


@pytest.mark.parametrize("segment", ["v2", "oauth2callback", "i18n", "sha256", "userProfile", "deadbeef", "app.js", ""])
def test_a_name_is_not(segment: str) -> None:
    assert route("POST", f"/a/{segment}") == f"POST /a/{segment}"


def test_an_endless_path_is_cut() -> None:
    assert route("GET", "/a" * 500) == "GET " + "/a" * 8 + "/..."


def tally(count: int) -> Tally:
    found = Tally()
    for _ in range(count):
        found.add(200, 1)
    return found


def test_rare_names_in_a_folder_of_many_are_ids() -> None:
    routes = {"GET /health": tally(500), "GET /{id}": tally(5), "GET /a/b": tally(1), "nginx itself: 301": tally(1)}
    routes |= {f"GET /name{chr(97 + index % 26)}{'x' * index}": tally(1) for index in range(60)}
    fold(routes)
    assert {name: each.requests for name, each in routes.items()} == {
        "GET /health": 500,
        "GET /{id}": 65,
        "GET /a/b": 1,
        "nginx itself: 301": 1,
    }


def test_a_folder_with_few_names_keeps_them() -> None:
    routes = {f"GET /api/{'x' * index}": tally(1) for index in range(25)}
    fold(routes)
    assert len(routes) == 25


def test_the_apps_own_template_goes_first() -> None:
    assert route("GET", "/users/tom", "/users/{name}") == "GET /users/{name}"
