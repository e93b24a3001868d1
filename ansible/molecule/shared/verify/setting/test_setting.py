"""The first image is live, with the second setting."""

from collections.abc import Callable


def test_it_is_live(live: Callable[[str, str], None]) -> None:
    live("first", "second")
