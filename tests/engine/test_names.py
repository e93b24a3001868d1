"""What the name of a release is."""

import pytest

from slipway.model.errors import UsageError
from slipway.model.names import check_release
from tests.engine.names import A


def test_a_utc_time_and_a_short_commit_are_a_name() -> None:
    assert check_release(A) == A


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../../etc",
        A + "\n",
        " " + A,
        A + "x",
        "x" + A,
        A[:-1],
        A.upper(),
        A.replace("-", "_"),
        A.replace("1", "\u0661"),
        A[:-1] + "g",
        f"{A}/..",
        f"{A}.socket",
    ],
)
def test_anything_else_is_refused_and_the_form_is_shown(name: str) -> None:
    with pytest.raises(UsageError, match="20261122T105851-3f2a9c1"):
        check_release(name)
