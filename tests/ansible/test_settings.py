"""settings.env: what is read from it, and what is refused."""

import re
from pathlib import Path

import pytest

from slipway.controller.settings import SettingsError, read_settings
from slipway.model.names import is_reserved_variable
from slipway.units import Site, drop_ins
from tests.ansible.conftest import ROOT

# A unit of the app with every setting that has a variable.
UNIT = drop_ins.settings(Site(workers=2), "512M", "") + (ROOT / "systemd/sandbox.conf").read_text()


def settings(folder: Path, text: str) -> dict[str, str]:
    file = folder / "settings.env"
    file.write_text(text)
    return read_settings(file)


def test_it_is_read_as_an_env_file(tmp_path: Path) -> None:
    text = "# comment\n\nA=1\nexport B='two words'\nC=\"line\\nline\"\nD=\nE=${A}\n"
    assert settings(tmp_path, text) == {"A": "1", "B": "two words", "C": "line\nline", "D": "", "E": "${A}"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A=1\nnot a line\n", "line 2"),
        ("A\n", "line 1: A has no value"),
        ("A=1\nA=2\n", "line 2: A is set a second time"),
        ("A-B=1\n", "'A-B' is not the name of an environment variable"),
        ("LISTEN_FDS=1\n", "LISTEN_FDS is set by the unit"),
        ("HOME=/root\n", "HOME is set by the unit"),
        ("SLIPWAY_RELEASE=x\n", "SLIPWAY_RELEASE is set by the unit"),
        ("WEB_CONCURRENCY=3\n", "WEB_CONCURRENCY is set by the unit"),
        ("A='open\n", "line 1"),
    ],
)
def test_a_line_that_cannot_be_used_is_named(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(SettingsError, match=r"settings\.env, line") as error:
        settings(tmp_path, text)
    assert expected in str(error.value)


def test_a_missing_file_is_no_empty_one(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nowhere\.env does not exist"):
        read_settings(tmp_path / "nowhere.env")


def test_variables_that_the_unit_sets_are_reserved() -> None:
    names = re.findall(r'^Environment="?(\w+)=', UNIT, re.MULTILINE)
    assert {"MEMORY_MAX", "WEB_CONCURRENCY", "GUNICORN_CMD_ARGS", "HOME"} <= set(names)
    assert [name for name in names if not is_reserved_variable(name)] == []
