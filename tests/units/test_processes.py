"""What is wrong with app_processes is named, with its value and the rule."""

from typing import Any

import pytest

from slipway.model.names import RESERVED_PROCESSES
from slipway.units.site import process_problems

RIGHT = [
    [],
    [{"name": "worker"}],
    [{"name": "send-mail_2", "count": "2", "memory_max": "infinity"}, {"name": "beat", "single": True, "count": 1}],
]


@pytest.mark.parametrize("entries", RIGHT)
def test_nothing_is_wrong(entries: list[dict[str, Any]]) -> None:
    assert process_problems(entries) == []


@pytest.mark.parametrize("name", sorted(RESERVED_PROCESSES))
def test_a_reserved_name(name: str) -> None:
    (problem,) = process_problems([{"name": name}])
    assert problem.startswith(f"the name {name!r} must be that of a line of the Procfile")


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        ([{"name": "a b"}], "the name 'a b' must be that of a line of the Procfile"),
        ([{"name": "-x"}], "the name '-x' must be"),
        ([{"name": "worker"}, {"name": "worker"}], "worker is there twice"),
        ([{"name": "worker", "count": 0}], "worker has the count 0, and must have 1 or more"),
        ([{"name": "beat", "single": True, "count": 2}], "beat is single and has the count 2, and must have 1"),
        ([{"name": "worker", "memory_max": "512 MB"}], "worker has memory_max 512 MB, and must have a size like 512M"),
    ],
)
def test_what_is_wrong_is_named(entries: list[dict[str, Any]], told: str) -> None:
    (problem,) = process_problems(entries)
    assert told in problem
