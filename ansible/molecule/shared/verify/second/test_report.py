"""`slipway report` on a host under load: the deploys, and the traffic of each release in nginx's log."""

import json
from typing import Any

import pytest


@pytest.fixture(scope="module")
def report(deployer: Any) -> Any:
    return json.loads(deployer.check_output("slipway report --since 1d"))


def test_every_deploy_is_told_with_its_phases(report: Any, status: Any) -> None:
    told = {(each["release"], each["ended"]) for each in report["activations"]}
    assert (status["live"], "done") in told
    assert {"done", "failed"} <= {ended for _, ended in told}
    names = {phase["name"] for each in report["activations"] for phase in each["phases"]}
    assert {"start", "canary", "watch-canary", "cutover"} <= names


def test_the_traffic_moved_from_release_to_release(report: Any, status: Any) -> None:
    live = {each["release"] for each in report["traffic"]["releases"] if each["slice"] == "live"}
    assert status["live"] in live
    assert len(live) >= 2
    assert {each["slice"] for each in report["traffic"]["releases"]} == {"live", "canary"}


def test_requests_are_counted_by_route(report: Any, host: Any) -> None:
    traffic = report["traffic"]
    logged = int(host.check_output("cat /var/log/nginx/access.log | wc -l"))
    assert traffic["total"]["requests"] > 1000
    assert traffic["total"]["requests"] <= logged or host.file("/var/log/nginx/access.log.1").exists
    assert "GET /{slug}" in {each["route"] for each in traffic["routes"]}
    assert (traffic["damaged_lines"], report["unread_files"]) == (0, [])


def test_the_machine_is_told(report: Any) -> None:
    assert report["memory"]["total"] > report["memory"]["available"] > 0
    assert all(disk["total"] > disk["free"] for disk in report["disks"])


def test_memory_over_the_day_is_told(host: Any, deployer: Any) -> None:
    # The first one only begins an interval.
    host.check_output("systemctl start sysstat-collect.service; sleep 1; systemctl start sysstat-collect.service")
    assert host.check_output("systemctl is-enabled sysstat-collect.timer") == "enabled"
    memory = json.loads(deployer.check_output("slipway report --since 1d"))["usage"]["memory"]
    assert 0 < memory[-1] < 100
