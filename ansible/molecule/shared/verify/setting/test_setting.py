"""The first image is live, with the second setting."""

from collections.abc import Callable
from typing import Any


def test_it_is_live(status: Any, image: Callable[[str], str]) -> None:
    assert status["state"] == "healthy"
    assert status["image"] == image("first")


def test_it_is_what_nginx_serves(ask: Any, status: Any, image: Callable[[str], str]) -> None:
    version = ask("/version").json
    assert version["release"] == status["live"]
    assert version["image"] == image("first")


def test_it_has_the_second_setting(environment: dict[str, str]) -> None:
    assert environment["GREETING"] == "second"
