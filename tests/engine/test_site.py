"""The host's settings."""

import json
from pathlib import Path

import pytest

from slipway.model.errors import SlipwayError
from slipway.model.site import Site
from tests.engine.conftest import SITE


def test_it_is_read_as_provisioning_wrote_it(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps(SITE.to_json() | {"added_later": 1}))
    assert Site.load(folder / "config.json") == SITE


def test_without_it_the_host_is_not_provisioned(folder: Path) -> None:
    with pytest.raises(SlipwayError, match=r"not provisioned\. Run `ansible-playbook site.yml`"):
        Site.load(folder / "config.json")


@pytest.mark.parametrize("text", ["", "[]", "null", "{}", '{"ready_path": "/"}'])
def test_what_lacks_a_value_is_to_be_written_anew(folder: Path, text: str) -> None:
    (folder / "config.json").write_text(text)
    with pytest.raises(SlipwayError, match=r"not what this engine needs.*site.yml"):
        Site.load(folder / "config.json")
