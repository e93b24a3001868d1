"""The host's settings."""

import json
from pathlib import Path

import pytest

from slipway.config import Config
from slipway.errors import SlipwayError
from tests.engine.conftest import CONFIG


def test_it_is_read_as_provisioning_wrote_it(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps(CONFIG.as_dict() | {"added_later": 1}))
    assert Config.load(folder / "config.json") == CONFIG


def test_without_it_the_host_is_not_provisioned(folder: Path) -> None:
    with pytest.raises(SlipwayError, match=r"not provisioned\. Run `ansible-playbook site.yml`"):
        Config.load(folder / "config.json")


@pytest.mark.parametrize("text", ["", "[]", "null", "{}", '{"ready_path": "/"}'])
def test_what_lacks_a_value_is_to_be_written_anew(folder: Path, text: str) -> None:
    (folder / "config.json").write_text(text)
    with pytest.raises(SlipwayError, match=r"not what this engine needs.*site.yml"):
        Config.load(folder / "config.json")
