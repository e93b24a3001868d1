"""Hosts that older versions provisioned, under load: today's tool deploys, provisions and rolls back, and the way back.

Each runs in a fork of then, with that fork's inventory and images.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from labs import host as hosts
from labs.command import ROOT, run
from labs.host import Host
from labs.load.process import Options, under_load
from tests.upgrade.old import BEFORE_MODEL, BEFORE_TOOL, ENVIRONMENT, Old
from tools.checkout import APP_IMAGES

RATE = 40
"""Requests per second: several are under way in each moment that matters, on a busy machine, too."""


@dataclass
class Provisioned:
    """A host that an old tree provisioned and deployed to."""

    old: Old
    host: Host
    release: str


@pytest.fixture(params=[BEFORE_MODEL, BEFORE_TOOL], ids=lambda old: old.name)
def provisioned(request: pytest.FixtureRequest) -> Iterator[Provisioned]:
    old: Old = request.param
    old.make()
    name = f"upgrade-{old.name.replace('.', '-')}"
    hosts.create(name)
    try:
        old.write_inventory(ROOT / f".cache/hosts/{name}/inventory.yml")
        image = old.run("tools/image", "build", "--tag", f"{APP_IMAGES}:{name}").split()[-1]
        done = old.play("site.yml", release_image=image)
        assert done.returncode == 0, done.stdout[-6000:]
        host = Host(name)
        yield Provisioned(old, host, host.status()["live"])
    finally:
        run(hosts.HOST_TOOL, "down", name)
        old.remove_inventory()


def test_no_request_fails_while_a_host_is_upgraded_and_goes_back(provisioned: Provisioned) -> None:
    old, host, first = provisioned.old, provisioned.host, provisioned.release
    options = Options(host.url(), rate=RATE, host_header="localhost")
    with under_load(ROOT / f".cache/upgrade/load-{old.name}", options) as load:
        # Today's tool with the engine of then, and an image that the fork builds.
        old.change_app("By today's tool")
        old.slipway("deploy", ENVIRONMENT)
        second = host.status()
        assert second["state"] == "healthy"
        assert second["live"] != first

        # The same image: it starts again, since only a start takes the new sandbox.
        old.slipway("provision", ENVIRONMENT)
        third = host.status()
        assert (third["state"], third["image"]) == ("healthy", second["image"])
        assert third["provisioned_version"] == third["version"]
        assert f"app:{third['live']}" in networks(host)

        old.slipway("rollback", ENVIRONMENT, "--to", first)
        host.wait_until_idle()
        assert live(host) == first
        assert f"app:{first}" in networks(host)

        # And back: the playbooks of then, with the engine of today.
        old.change_app("By the playbooks of then")
        before = host.status()
        back = old.play("deploy.yml", release_image=old.run("tools/image", "build").split()[-1])
        host.wait_until_idle()
        if old is BEFORE_TOOL:
            assert back.returncode == 0, back.stdout[-6000:]
            assert live(host) not in {first, second["live"], third["live"]}
        else:
            assert "This checkout is older than the host" in back.stdout
            assert host.status()["live"] == before["live"]

        old.slipway("deploy", ENVIRONMENT)
        assert host.status()["state"] == "healthy"
        requests = len(load.lines("requests.jsonl"))
    assert load.lines("failures.jsonl") == []
    assert requests > 20 * RATE
    assert host.shell("systemctl list-units --failed --plain --no-legend").strip() == ""


def live(host: Host) -> str:
    """Return the live release of a healthy host."""
    status = host.status()
    assert status["state"] == "healthy"
    return str(status["live"])


def networks(host: Host) -> set[str]:
    return set(host.shell("ls /run/netns").split())
