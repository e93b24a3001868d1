"""The engine's probe, through nginx and on the app's socket: the app sees one and the same request."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from slipway.engine.probe import Answer, Front, get_from_socket
from tests.nginx.conftest import NAME, Site


def seen(answer: Answer) -> dict[str, Any]:
    """Return what the app saw, without what differs from request to request."""
    assert answer.good, answer
    told: dict[str, Any] = json.loads(answer.body)
    told["headers"] = {k: v for k, v in told["headers"] if k not in {"connection", "x-request-id"}}
    return told


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_app_sees_the_same_by_both_ways(site: Site, app_socket: Path, scheme: str) -> None:
    """https: a balancer before this host has the certificate."""
    through_nginx = Front().get(site.url, "/request", NAME, scheme=scheme)
    on_the_socket = get_from_socket(app_socket, "/request", NAME, scheme=scheme)
    assert seen(through_nginx) == seen(on_the_socket)
    assert seen(through_nginx)["url"] == f"{scheme}://{NAME}/request"
    assert seen(through_nginx)["client"] == "127.0.0.1"


def test_the_app_sees_the_same_by_https(
    serve: Callable[..., Site], certificate: dict[str, str], app_socket: Path
) -> None:
    site = serve(nginx_tls="files", **certificate)
    through_nginx = Front().get(site.url, "/request", NAME, scheme="https")
    assert seen(through_nginx) == seen(get_from_socket(app_socket, "/request", NAME, scheme="https"))
