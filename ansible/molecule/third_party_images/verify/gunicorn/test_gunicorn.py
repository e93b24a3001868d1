"""A third-party image under gunicorn: its own command, folder and environment, on the socket that it inherits."""

import json
from typing import Any

import pytest

from tools.checkout import THIRD_PARTY_IMAGES


@pytest.fixture
def about(ask: Any) -> Any:
    answer = ask("/about", host="shop.example")
    assert answer.status == 200
    return answer.json


def test_its_own_image_is_live(host: Any, status: Any) -> None:
    assert status["state"] == "healthy"
    record = json.loads(host.check_output(f"cat /srv/app/releases/{status['live']}.json"))
    assert record["image_name"] == f"{THIRD_PARTY_IMAGES}:gunicorn"


def test_it_is_started_as_its_image_says(host: Any, status: Any) -> None:
    pid = host.check_output(f"systemctl show --property=MainPID --value app@{status['live']}.service")
    words = host.check_output(f"cat /proc/{pid}/cmdline").split("\0")
    assert words[-4:-1] == ["--bind=0.0.0.0:80", "--workers=2", "shop:app"]


def test_its_python_is_its_images(about: Any) -> None:
    """The other image has Python 3.11: the host's cannot be both."""
    assert about["python"] == "3.13"


def test_its_folder_and_environment_are_its_own_but_for_what_the_unit_sets(about: Any, status: Any) -> None:
    assert about["folder"] == "/opt/shop"
    assert about["name"] == 'It\'s "a shop", $5'
    assert about["home"] == "/tmp"
    assert about["release"] == status["live"]


def test_a_setting_wins_over_its_own_environment(about: Any) -> None:
    assert about["motto"] == "from the settings"


def test_the_line_release_of_its_procfile_ran_once_before_it_was_ready(about: Any, status: Any, ask: Any) -> None:
    assert about["released"].count(status["live"]) == 1
    assert ask("/health", host="shop.example").status == 200


def test_it_goes_on_refusing_names_that_are_not_its_own(ask: Any) -> None:
    assert ask("/health", host="localhost").status == 400


def test_a_folder_of_app_writable_begins_as_the_image_has_it_and_is_kept_over_releases(
    host: Any, ask: Any, status: Any
) -> None:
    """Run again after other releases: their visits are still there."""
    before = host.run("cat /var/lib/app-writable/opt/shop/data/visits").stdout.split()
    answer = ask("/visits", host="shop.example", method="POST")
    assert answer.status == 200, answer
    assert answer.json == {"welcome": "hello\n", "visits": [*before, status["live"]]}


def test_a_folder_of_app_writable_is_the_apps_and_those_above_are_not(host: Any) -> None:
    owners = host.check_output(
        "stat --format=%U:%a /var/lib/app-writable/opt/shop /var/lib/app-writable/opt/shop/data"
    ).split()
    assert owners == ["root:755", "app:700"]
    assert host.file("/var/lib/app-writable/opt/shop/data/welcome.txt").user == "app"
