"""`slipway scale` and `slipway restart` under load: other workers, without a failed request."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

LOAD = ("--every-method-at=/attacker/digest",)
STARTS_WITHIN = 30
"""Seconds without an answer: 12 at load 38, otherwise about two."""
WORKERS = "pgrep --parent $(systemctl show --property=MainPID --value 'app@*.service')"
WITHIN_SECONDS = 60


@pytest.fixture
def default(host: Any, deployer: Any) -> Iterator[int]:
    """How many workers there are by provisioning, before and after."""
    count = len(host.check_output(WORKERS).split())
    yield count
    deployer.check_output("slipway scale workers=default")
    assert _count(host, count) == count


def _count(host: Any, expected: int) -> int:
    """Wait for all workers: a start does not."""
    deadline = time.monotonic() + WITHIN_SECONDS
    while (count := len(host.run(WORKERS).stdout.split())) != expected and time.monotonic() < deadline:
        time.sleep(0.5)
    return count


def test_the_live_release_gets_another_number_of_workers(
    load: Any, host: Any, deployer: Any, ask: Any, default: int
) -> None:
    wanted = default + 1
    assert f"has {wanted} workers" in deployer.check_output(f"slipway scale workers={wanted}")
    assert _count(host, wanted) == wanted
    assert json.loads(ask("/version").body)["workers"] == wanted
    assert json.loads(deployer.check_output("slipway status --json"))["scaled_workers"] == wanted
    # A restart leaves it.
    host.check_output("systemctl restart 'app@*.service'")
    assert _count(host, wanted) == wanted
    load.check(max_gap=STARTS_WITHIN)


def test_the_live_release_is_restarted(load: Any, host: Any, deployer: Any, default: int) -> None:
    main = "systemctl show --property=MainPID --value 'app@*.service'"
    before, live = host.check_output(main), json.loads(deployer.check_output("slipway status --json"))["live"]
    assert deployer.check_output("slipway restart").strip() == f"{live} is restarted"
    assert host.check_output(main) not in {before, "", "0"}
    assert _count(host, default) == default
    load.check(max_gap=STARTS_WITHIN)
