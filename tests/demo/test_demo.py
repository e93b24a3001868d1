"""`make demo`: what it says, and that it leaves the host as it was."""

from typing import Any

import pytest

from bench.host import BenchError
from demo.__main__ import in_words, returning, run_demo
from demo.deploying import DemoHost, added, received, recorded
from demo.report.outcomes import Outcome
from demo.report.record import Deploy
from tests.demo.conftest import BAD, BEGIN, GOOD, OLD, deploys


class Host(DemoHost):
    """A host that is nowhere: it serves OLD until something is deployed."""

    def __init__(self) -> None:
        self.live = OLD
        self.played: list[tuple[str, dict[str, Any]]] = []

    def url(self) -> str:
        return "http://127.0.0.1:9"

    def status(self) -> dict[str, Any]:
        return {"live": self.live, "lock": None}

    def run_playbook(self, verb: str, **variables: Any) -> None:
        self.played.append((verb, variables))


def test_a_run_that_fails_half_way_goes_back() -> None:
    host = Host()

    def run() -> None:
        with returning(host):
            host.live = GOOD
            raise BenchError("the disk is full")

    with pytest.raises(BenchError, match="the disk is full"):
        run()
    assert host.played == [("rollback.yml", {"release_rollback_to": OLD})]


def test_a_run_that_went_back_itself_is_left_alone() -> None:
    host = Host()
    with returning(host):
        pass
    assert host.played == []


def test_an_app_that_the_load_is_not_made_for_is_told() -> None:
    with pytest.raises(BenchError, match=r"make try IMAGE=\.\.\."):
        run_demo(Host(), rate=1)


def test_what_the_terminal_says() -> None:
    good, bad = deploys()
    assert in_words(Outcome(good, 3120, 0, 0, 1.0, 2.0)) == "good deploy: 0 of 3,120 requests failed; live after 14.0 s"
    text = in_words(Outcome(bad, 1500, 14, 14, 1.0, 2.0))
    assert text.startswith(
        "bad deploy: 14 of 1,500 requests failed, all in the slice that it had on trial; taken back: "
    )


def test_what_the_host_wrote_down_becomes_phases() -> None:
    record = {
        "release": BAD,
        "state": "failed",
        "cause": "watch-canary: it fails more often\nand more",
        "live_at": None,
        "phases": [{"name": "start", "at": "2023-11-14T22:13:25.000+00:00", "seconds": 1.0, "saw": {}}],
    }
    audit = {"at": "2023-11-14T22:13:29.000+00:00", "ended": "failed"}
    deploy = recorded(Deploy("bad", "", BEGIN, BEGIN + 12, before=GOOD), record, audit)
    assert [(phase.name, phase.at - BEGIN, phase.seconds) for phase in deploy.phases] == [
        ("ship", 0.0, 5.0),
        ("start", 5.0, 1.0),
        ("take back", 6.0, 3.0),
    ]
    assert (deploy.live, deploy.live_at, deploy.cause) == (False, None, "watch-canary: it fails more often")


def test_bytes_are_counted_by_connection_and_a_closed_one_takes_none_away() -> None:
    said = "0 0 172.17.0.5:ssh 172.17.0.1:45040\n\t cubic bytes_sent:1 bytes_received:3776 segs_out:18\n0 0 172.17.0.5:ssh 172.17.0.1:45042\n\t cubic segs_out:1\n"
    before = received(said) | {"172.17.0.1:40000": 5_000_000}
    assert before == {"172.17.0.1:45040": 3776, "172.17.0.1:45042": 0, "172.17.0.1:40000": 5_000_000}
    assert added(before, {"172.17.0.1:45040": 4000, "172.17.0.1:45050": 300_000}) == 300_224
