"""A deploy of an app that sends its traces to a receiver which it may not reach is refused."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.ansible.conftest import ANSIBLE, run_play

# Each runs ansible-playbook once, which takes a second or two.
pytestmark = pytest.mark.slow

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
SET = {ENDPOINT: "http://10.0.0.9:4318"}


def check(folder: Path, settings: dict[str, str], values: dict[str, Any]) -> tuple[int, str]:
    """Run the check; return its status and all of its output as one line."""
    given = {
        "__release_image": {"manifest": {"settings": settings}},
        "slipway_root": str(ANSIBLE.parent),
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
    }
    # The role app, for the defaults of its variables.
    roles = [
        {"ansible.builtin.import_role": {"name": "app", "tasks_from": "preflight"}, "when": False},
        {"ansible.builtin.import_role": {"name": "release", "tasks_from": "traces"}},
    ]
    play = [{"name": "Check", "hosts": "app", "gather_facts": False, "vars": given | values, "tasks": roles}]
    (folder / "play.yml").write_text(json.dumps(play))
    (folder / "hosts.yml").write_text("{app: {hosts: {www1: }}}\n")
    return run_play(folder)


@pytest.mark.parametrize(
    ("settings", "values"),
    [
        (SET, {}),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://10.0.0.9:4318/v1/traces"}, {}),
        ({}, {"app_secrets_as_environment": [ENDPOINT]}),
    ],
)
def test_a_receiver_that_the_app_may_not_reach(
    tmp_path: Path, settings: dict[str, str], values: dict[str, Any]
) -> None:
    status, output = check(tmp_path, settings, values)
    assert status
    assert "and app_egress is `none`: the app reaches nothing, and no trace would arrive" in output
    assert f"and type: slipway provision {tmp_path.name}" in output


@pytest.mark.parametrize(
    ("settings", "values"),
    [
        ({}, {}),
        ({ENDPOINT: ""}, {}),
        (SET, {"app_egress": "host"}),
        (SET, {"app_egress": "networks", "app_egress_networks": ["10.0.0.9"]}),
        (SET, {"app_egress": "internet"}),
    ],
)
def test_a_receiver_that_it_may_reach(tmp_path: Path, settings: dict[str, str], values: dict[str, Any]) -> None:
    status, output = check(tmp_path, settings, values)
    assert status == 0, output
