"""An app finds its data on its own loopback by every driver, as the right user, and nobody else finds anything there."""

import json
from typing import Any

from clients import wait_until


def test_the_app_connects_by_each_driver(deployer: Any) -> None:
    # Django warns before it.
    found = json.loads(deployer.check_output("slipway run -- python /drivers.py app").splitlines()[-1])
    assert found.pop("redis") == "True"
    assert len(found) > 20
    assert set(found.values()) == {"app"}


def test_its_migrations_did_as_their_own_user(host: Any, status: Any) -> None:
    lines = host.check_output(
        f"journalctl --namespace=app --no-pager --output=cat --unit=migrate@{status['live']}.service"
    ).splitlines()
    found = next(json.loads(line) for line in lines if line.startswith('{"psycopg'))
    assert found.pop("redis") == "refused"  # its URL is there, for settings that require one
    assert set(found.values()) == {"app_migrate"}


def test_nothing_listens_on_an_address(host: Any) -> None:
    lines = host.check_output("ss --no-header --listening --tcp --udp --numeric").splitlines()
    # The exporters of metrics are on the loopback.
    addresses = {line.split()[4] for line in lines if not line.split()[4].startswith("127.0.0.1:")}
    assert {each.rpartition(":")[2] for each in addresses} == {"22", "80"}


def test_a_unit_that_has_ended_leaves_no_way_to_the_data(host: Any) -> None:
    def owners() -> set[str]:
        units = host.check_output("systemctl list-units --plain --no-legend 'data-*@*' 'network@*'").splitlines()
        return {line.split()[0].partition("@")[2].partition(":")[0] for line in units}

    # A job runs every five seconds, and has its own meanwhile.
    wait_until(lambda: owners() == {"app", "app-worker.1", "app-beat.1"})
