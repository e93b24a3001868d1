"""A release that migrates is deployed and rolled back: the release before serves on the schema, which stays."""

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from deploys import ANSIBLE, Deploy, Site

from tools.checkout import APP_IMAGES

IMAGES = ANSIBLE / "molecule/shared/images"
IMAGE = f"{APP_IMAGES}:molecule-expands"


@pytest.fixture(scope="module")
def image(docker: str) -> str:
    """The app with one migration more."""
    build = ["build", f"--tag={IMAGE}", f"--build-arg=IMAGES={APP_IMAGES}", f"--file={IMAGES}/expands.Dockerfile"]
    subprocess.run([docker, *build, str(IMAGES)], check=True, capture_output=True)
    return IMAGE


def tell(host: Any, query: str) -> str:
    """The first value, as PostgreSQL's owner sees it."""
    return str(host.check_output(f"runuser -u postgres -- psql -At -d app -c '{query}'"))


def test_a_rollback_leaves_the_schema(host: Any, deployer: Any, ask: Callable[..., Any], image: str) -> None:
    site = Site(deployer)
    before = site.status()["live"]
    deploy = Deploy(image=image)
    assert deploy.wait() == 0, deploy.output
    assert tell(host, "SELECT version_num FROM alembic_version") == "9001"
    assert site.status()["live"] != before

    deployer.check_output("slipway rollback")
    assert site.until(lambda status: status["state"] == "healthy")["live"] == before
    assert tell(host, "SELECT version_num FROM alembic_version") == "9001", "a rollback runs no migration"

    body = json.dumps({"url": "https://example.org/after-a-rollback"})
    made = ask("/links", method="POST", body=body, **{"Content-Type": "application/json"})
    assert made.status == 201, made.body
    assert tell(host, "SELECT count(*) FROM links WHERE NOT hidden") != "0", "the old release's rows have it, too"
