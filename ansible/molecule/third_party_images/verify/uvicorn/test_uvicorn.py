"""A third-party image under `uvicorn --fd 3`, of another distribution, with a secret in its environment."""

import hashlib
import json
from typing import Any

from tools.checkout import THIRD_PARTY_IMAGES


def test_its_own_image_is_live(host: Any, status: Any) -> None:
    assert status["state"] == "healthy"
    record = json.loads(host.check_output(f"cat /srv/app/releases/{status['live']}.json"))
    assert record["image_name"] == f"{THIRD_PARTY_IMAGES}:uvicorn"


def test_its_python_is_its_images(ask: Any) -> None:
    """The other image has Python 3.13: the host's cannot be both."""
    assert ask("/about").json["python"] == "3.11"


def test_it_found_its_secret_in_its_environment(ask: Any) -> None:
    assert ask("/about").json["key"] == hashlib.sha256(b"it's a $ecret").hexdigest()


def test_the_release_does_not_hold_the_secret(host: Any, status: Any) -> None:
    assert host.run(f"grep -rF 'a $ecret' /srv/app/sealed/{status['live']}/.slipway").rc == 1


def test_it_believes_nginx_who_asked_and_how(ask: Any) -> None:
    about = ask("/about").json
    assert about["scheme"] == "http"
    assert about["client"]
