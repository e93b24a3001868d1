"""settings.env: what is read from it, and what is refused."""

import re
from pathlib import Path

import pytest
from ansible.module_utils.slipway_settings import SettingsError, is_reserved, read_settings

from tests.ansible.conftest import ANSIBLE

UNIT = [ANSIBLE / "roles/app/templates/30-settings.conf.j2", ANSIBLE.parent / "systemd/sandbox.conf"]


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


def test_what_the_unit_sets_is_no_setting() -> None:
    names = [name for file in UNIT for name in re.findall(r'^Environment="?(\w+)=', file.read_text(), re.MULTILINE)]
    assert {"MEMORY_MAX", "GUNICORN_CMD_ARGS", "HOME"} <= set(names)
    assert [name for name in names if not is_reserved(name)] == []
