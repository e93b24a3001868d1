"""A stranger under gunicorn: its own command, folder and environment, on the socket that it is handed."""

import json
from typing import Any

import pytest


@pytest.fixture
def about(ask: Any) -> Any:
    answer = ask("/about", host="shop.example")
    assert answer.status == 200
    return answer.json


def test_its_own_image_is_live(host: Any, status: Any) -> None:
    assert status["state"] == "healthy"
    record = json.loads(host.check_output(f"cat /srv/app/releases/{status['live']}.json"))
    assert record["image_name"] == "slipway-stranger:gunicorn"


def test_it_is_started_as_its_image_says(host: Any, status: Any) -> None:
    pid = host.check_output(f"systemctl show --property=MainPID --value app@{status['live']}.service")
    words = host.check_output(f"cat /proc/{pid}/cmdline").split("\0")
    assert words[-4:-1] == ["--bind=0.0.0.0:80", "--workers=2", "shop:app"]


def test_its_python_is_its_images(about: Any) -> None:
    """The other stranger's is 3.11: a host's cannot be both."""
    assert about["python"] == "3.13"


def test_its_folder_and_environment_are_its_own_but_for_what_the_unit_sets(about: Any, status: Any) -> None:
    assert about["folder"] == "/opt/shop"
    assert about["name"] == 'It\'s "a shop", $5'
    assert about["home"] == "/var/lib/app"
    assert about["release"] == status["live"]


def test_a_setting_wins_over_its_own_environment(about: Any) -> None:
    assert about["motto"] == "from the settings"


def test_the_line_release_of_its_procfile_ran_once_before_it_was_ready(about: Any, status: Any, ask: Any) -> None:
    assert about["released"].count(status["live"]) == 1
    assert ask("/health", host="shop.example").status == 200


def test_it_goes_on_refusing_names_that_are_not_its_own(ask: Any) -> None:
    assert ask("/health", host="localhost").status == 400
