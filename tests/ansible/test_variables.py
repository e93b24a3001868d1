"""What an inventory may not say, and whose a host is: before anything is touched."""

import datetime
import subprocess
from pathlib import Path

import pytest

from slipway.controller.project import owner_conflict, project_name
from slipway.controller.variables import not_text, unknown_names

ROLES = {"nginx": {"nginx_max_body_size", "nginx_tls"}, "app": {"app_egress", "app_secrets"}}


def test_a_name_that_no_role_knows_is_found_with_the_one_that_is_meant() -> None:
    names = [
        "nginx_body_size",
        "app_egres",
        "app_zzz",
        "nginx_tls",
        "slipway_root",
        "slipway_qqqqqqqqqq",
        "ansible_host",
        "my_app",
    ]
    assert unknown_names(names, ROLES) == {
        "nginx_body_size": "did you mean nginx_max_body_size?",
        "app_egres": "did you mean app_egress?",
        "app_zzz": "",
        "slipway_qqqqqqqqqq": "",
    }


def test_what_yaml_did_not_read_as_text_is_found_and_no_value_told() -> None:
    secrets: dict[str, object] = {
        **{"TEXT": "0123", "EMPTY": "", "NUMBER": 83, "FLOAT": 1e5, "YES": True, "NOTHING": None},
        **{"DATE": datetime.date(2026, 1, 2), "TIME": datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)},
        **{"MAPPING": {"a": 1}, "LIST": [1]},
    }
    assert not_text(secrets) == {
        **{"NUMBER": "a number", "FLOAT": "a number", "YES": "yes or no", "NOTHING": "nothing"},
        **{"DATE": "a date", "TIME": "a date", "MAPPING": "a mapping", "LIST": "a list"},
    }


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("git@github.com:acme/shop.git", "acme/shop"),
        ("https://github.com/acme/shop", "acme/shop"),
        ("https://token@github.com/acme/shop.git/", "acme/shop"),
        ("ssh://git@git.example.com:2222/team/sub/shop.git", "team/sub/shop"),
        ("/srv/git/shop.git", "srv/git/shop"),
        (None, ""),
    ],
)
def test_a_project_has_the_name_of_its_repository(tmp_path: Path, url: str | None, name: str) -> None:
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    if url:
        subprocess.run(["git", "-C", tmp_path, "remote", "add", "origin", url], check=True)
    assert project_name(str(tmp_path)) == name


OURS = {"project": "acme/shop", "environment": "production", "names": ["www.example.com", "example.com"]}


@pytest.mark.parametrize(
    ("recorded", "project", "environment", "names", "why"),
    [
        ({}, "acme/shop", "production", ["a"], None),
        (OURS, "acme/shop", "production", ["www.example.com"], None),
        (OURS, "", "production", ["new.example.com", "example.com"], None),
        (OURS | {"project": ""}, "acme/shop", "production", ["example.com"], None),
        (OURS, "Acme/Shop", "production", ["example.com"], None),
        (OURS, "acme/blog", "production", ["example.com"], "project acme/shop, and this one is acme/blog"),
        (OURS, "acme/shop", "staging", ["example.com"], "environment production, and this one is staging"),
        (
            OURS,
            "",
            "production",
            ["blog.example.com"],
            "serves www.example.com, example.com, and nginx_server_names has none",
        ),
    ],
)
def test_whose_a_host_is(
    recorded: dict[str, object], project: str, environment: str, names: list[str], why: str | None
) -> None:
    found = owner_conflict(recorded, project, environment, names)
    assert (found is None) if why is None else (found is not None and why in found)
