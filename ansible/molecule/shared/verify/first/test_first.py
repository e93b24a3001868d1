"""The first release is live, with the first setting."""

from collections.abc import Callable


def test_it_is_live(live: Callable[[str, str], None]) -> None:
    live("first", "first")
