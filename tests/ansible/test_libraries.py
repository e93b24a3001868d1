"""The callback that is loaded before every play."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ansible.conftest import ANSIBLE

FILTER = """
import os
from pathlib import Path

with Path(__file__).with_name("loads").open("a") as file:
    file.write(f"{os.getpid()}\\n")


class FilterModule:
    def filters(self):
        return {"same": lambda value: value}
"""
PLAY = """
- hosts: localhost
  connection: local
  tasks:
    - ansible.builtin.assert: {that: 1 | same == 1}
    - ansible.builtin.assert: {that: 2 | same == 2}
"""


@pytest.mark.slow
def test_filters_are_loaded_once_for_all_tasks(tmp_path: Path) -> None:
    (tmp_path / "filters").mkdir()
    (tmp_path / "filters/same.py").write_text(FILTER)
    (tmp_path / "site.yml").write_text(PLAY)
    subprocess.run(
        [Path(sys.executable).with_name("ansible-playbook"), "--inventory=localhost,", tmp_path / "site.yml"],
        env=os.environ
        | {"ANSIBLE_CONFIG": str(ANSIBLE / "ansible.cfg"), "ANSIBLE_FILTER_PLUGINS": str(tmp_path / "filters")},
        check=True,
        capture_output=True,
    )
    assert len((tmp_path / "filters/loads").read_text().split()) == 1
