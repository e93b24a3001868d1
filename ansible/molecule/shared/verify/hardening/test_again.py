"""Provisioning again changes nothing. In `make test` the scenario `data` shows it, whose host has all roles but no updates."""

import re

import pytest
from deploys import NAME, run_playbook


@pytest.mark.catalogue
def test_provisioning_again_changes_nothing() -> None:
    done = run_playbook("site.yml")
    assert done.returncode == 0, done.stdout
    assert re.search(rf"^{NAME} .* changed=0 ", done.stdout, re.MULTILINE), done.stdout
