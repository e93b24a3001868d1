"""The sum of all pools fits into PostgreSQL's connections: by opening all of them, while two releases run under load."""

import json
import shlex
from pathlib import Path
from typing import Any

from deploys import Deploy

from tools.checkout import APP_IMAGES

FILL = Path(__file__).with_name("fill.py").read_text()


def number(host: Any, setting: str) -> int:
    """A number that PostgreSQL has."""
    return int(host.check_output(f"runuser -u postgres -- psql -At -c 'SHOW {setting}'"))


def test_everything_is_opened_during_a_deploy(host: Any, ask: Any, environment: dict[str, str]) -> None:
    body = json.dumps({"url": "https://example.org"})
    link = ask("/links", method="POST", body=body, **{"Content-Type": "application/json"}).json
    workers = ask("/version").json["workers"]
    # Each worker's share of what its release may open.
    pools = 2 * workers * (int(environment["DATABASE_CONNECTIONS"]) // workers)
    most = number(host, "max_connections")
    assert pools <= most - 10

    deploy = Deploy(image=f"{APP_IMAGES}:molecule-first")
    saw = json.loads(host.check_output(f"python3 -c {shlex.quote(FILL)} /links/{link['slug']}"))
    assert deploy.wait() == 0, deploy.output

    # Other processes of the releases may have some, too, which the sum knows.
    assert pools <= saw["connections"] <= most - 10, saw
    assert saw["failed"] == []
    assert saw["others"] == {"postgres": "connected", "app_migrate": "connected"}
    assert saw["total"] <= most


def test_the_app_cannot_have_what_is_kept_back(host: Any) -> None:
    limit = host.check_output(
        "runuser -u postgres -- psql -At -c \"SELECT rolconnlimit FROM pg_roles WHERE rolname = 'app'\""
    )
    assert int(limit) == number(host, "max_connections") - 5
