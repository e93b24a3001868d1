"""What the system says: a command that fails is an error, since its silence would mean that nothing is wrong."""

import pytest

from slipway.alerts import facts
from slipway.model.errors import SlipwayError


def test_a_command_that_fails_is_an_error() -> None:
    assert facts._run("echo", "a") == "a\n"
    with pytest.raises(SlipwayError, match="`sh -c echo why >&2; exit 3`: why"):
        facts._run("sh", "-c", "echo why >&2; exit 3")
