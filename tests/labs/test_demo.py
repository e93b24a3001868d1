"""`make demo`: its output, its exit status, and that the host serves the earlier release afterwards."""

from pathlib import Path
from typing import Any

import pytest

from labs.command import LabError
from labs.demo import __main__ as demo
from labs.demo.__main__ import live_release_restored, run_demo, summary
from labs.deploys import recorded
from labs.host import Host, bytes_added, parse_socket_bytes
from labs.report.outcomes import Outcome
from labs.report.record import Deploy
from tests.labs.conftest import BAD, BEGIN, GOOD, OLD, deploys


class FakeHost(Host):
    """A host without a machine: it serves OLD until a test changes `live`."""

    def __init__(self) -> None:
        self.live = OLD
        self.played: list[tuple[str, dict[str, Any]]] = []

    def url(self) -> str:
        return "http://127.0.0.1:9"

    def status(self) -> dict[str, Any]:
        return {"live": self.live, "lock": None}

    def play(self, playbook: str, **variables: Any) -> float:
        self.played.append((playbook, variables))
        return 0.0


def test_a_failed_run_restores_the_earlier_release() -> None:
    host = FakeHost()

    def run() -> None:
        with live_release_restored(host):
            host.live = GOOD
            raise LabError("the disk is full")

    with pytest.raises(LabError, match="the disk is full"):
        run()
    assert host.played == [("rollback.yml", {"release_rollback_to": OLD})]


def test_a_run_that_ends_on_the_earlier_release_rolls_nothing_back() -> None:
    host = FakeHost()
    with live_release_restored(host):
        pass
    assert host.played == []


def test_another_app_than_the_link_shortener_is_refused() -> None:
    with pytest.raises(LabError, match=r"make try IMAGE=\.\.\."):
        run_demo(FakeHost(), rate=1)


def test_the_terminal_shows_each_outcome() -> None:
    good, bad = deploys()
    assert summary(Outcome(good, 3120, 0, 0, 1.0, 2.0)) == "good deploy: 0 of 3,120 requests failed; live after 14.0 s"
    text = summary(Outcome(bad, 1500, 14, 14, 1.0, 2.0))
    assert text.startswith("bad deploy: 14 of 1,500 requests failed, all on the canary; aborted: ")


def test_the_hosts_record_becomes_phases() -> None:
    record = {
        "release": BAD,
        "state": "failed",
        "cause": "watch-canary: it fails more often\nand more",
        "live_at": None,
        "phases": [{"name": "start", "at": "2023-11-14T22:13:25.000+00:00", "seconds": 1.0, "samples": {}}],
    }
    audit = {"at": "2023-11-14T22:13:29.000+00:00", "ended": "failed"}
    deploy = recorded(Deploy("bad", "", BEGIN, BEGIN + 12, before=GOOD), record, audit)
    assert [(phase.name, phase.at - BEGIN, phase.seconds) for phase in deploy.phases] == [
        ("ship", 0.0, 5.0),
        ("start", 5.0, 1.0),
        ("abort", 6.0, 3.0),
    ]
    assert (deploy.live, deploy.live_at, deploy.cause) == (False, None, "watch-canary: it fails more often")


def test_bytes_are_counted_by_connection_and_a_closed_connection_subtracts_none() -> None:
    output = "0 0 172.17.0.5:ssh 172.17.0.1:45040\n\t cubic bytes_sent:1 bytes_received:3776 segs_out:18\n0 0 172.17.0.5:ssh 172.17.0.1:45042\n\t cubic segs_out:1\n"
    before = parse_socket_bytes(output) | {"172.17.0.1:40000": 5_000_000}
    assert before == {"172.17.0.1:45040": 3776, "172.17.0.1:45042": 0, "172.17.0.1:40000": 5_000_000}
    assert bytes_added(before, {"172.17.0.1:45040": 4000, "172.17.0.1:45050": 300_000}) == 300_224


@pytest.mark.parametrize(
    ("failed", "in_canary", "requests", "status"),
    [
        pytest.param(0, 0, 10, 0, id="no failure"),
        pytest.param(3, 3, 10, 0, id="all failures on the canary of the bad release"),
        pytest.param(3, 2, 10, 1, id="one failure outside of the canary"),
        pytest.param(0, 0, 0, 1, id="no request was sent"),
    ],
)
def test_the_exit_status_tells_of_requests_that_should_not_have_failed(
    failed: int, in_canary: int, requests: int, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = Outcome(deploys()[1], requests, failed, in_canary, 1.0, 2.0)
    monkeypatch.setattr(demo, "run_demo", lambda *_, **__: tmp_path)
    monkeypatch.setattr(demo, "write_page", lambda _: (tmp_path / "index.html", {"slipway": [outcome]}))
    assert demo.main([]) == status


def test_a_good_deploy_may_not_fail_a_request_on_its_canary_either() -> None:
    assert not Outcome(deploys()[0], 10, 1, 1, 1.0, 2.0).contained
