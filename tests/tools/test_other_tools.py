"""What a newcomer types first: verbs of other tools, and --version."""

import pytest

from slipway.controller.cli import main
from slipway.controller.cli.other_tools import OF_OTHER_TOOLS


def typed(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        main(words)
    printed = capsys.readouterr()
    return int(ended.value.code or 0), printed.out + printed.err


@pytest.mark.parametrize("verb", OF_OTHER_TOOLS)
def test_a_verb_of_another_tool_is_answered_with_what_does_the_same(
    verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, printed = typed(capsys, verb, "production")
    assert status == 2
    assert OF_OTHER_TOOLS[verb] in printed


def test_a_verb_of_nobody_is_no_command(capsys: pytest.CaptureFixture[str]) -> None:
    status, printed = typed(capsys, "deplyo")
    assert status == 2
    assert "Did you mean 'deploy'" in printed


def test_the_version_by_the_usual_option(capsys: pytest.CaptureFixture[str]) -> None:
    status, printed = typed(capsys, "--version")
    assert status == 0
    assert printed == typed(capsys, "version")[1]
    assert printed.startswith("slipway ")
