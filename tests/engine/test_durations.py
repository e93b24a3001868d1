"""How long something took, when the clock was set meanwhile, or nobody knows."""

import time

import pytest

from slipway.engine import audit, deploy, status
from slipway.engine.recover import recover
from slipway.model.record import Request
from slipway.model.states import ActivationState, ReleaseState
from tests.engine.fakes import FakeHost
from tests.engine.names import A, B


@pytest.mark.parametrize("jump", [-172800, 172800])
def test_a_clock_that_is_set_changes_no_duration(host: FakeHost, monkeypatch: pytest.MonkeyPatch, jump: int) -> None:
    release, clock = host.ship(A), time.time
    host.systemd.before_call = lambda _call: monkeypatch.setattr(time, "time", lambda: clock() + jump)
    deploy.activate(host, release)
    assert 0 <= audit.last(host)[-1]["seconds"] < 60


@pytest.mark.parametrize(("live", "ended"), [(B, "done"), (A, "killed")])
def test_of_what_a_power_cut_ended_no_duration_is_told(host: FakeHost, live: str, ended: str) -> None:
    deploy.activate(host, host.ship(A))
    host.ship(B)
    record = host.releases.record(B)
    record.become(ReleaseState.ACTIVATING)
    record.phase, record.request = ("keep", Request(by="alice", id="1", state=ActivationState.RUNNING))
    host.releases.save(record)
    host.releases.set_current(live)
    recover(host, boot=True)
    entry = audit.last(host)[-1]
    assert (entry["release"], entry["ended"], entry["seconds"]) == (B, ended, None)
    shown = status.text(status.status(host)).splitlines()[-1]
    assert f"{ended}" in shown
    assert " s" not in shown.partition(ended)[2].partition(":")[0]


def test_what_waited_in_vain_tells_how_long(host: FakeHost) -> None:
    line = audit.activation(host, host.releases.record(host.ship(A)), "refused", seconds=1.5, old=None)
    assert '"seconds": 1.5' in line


def test_a_clock_that_was_ahead_does_not_keep_a_release_for_years(host: FakeHost) -> None:
    deploy.activate(host, host.ship(A))
    deploy.activate(host, host.ship(B, shipped_at="2035-01-01T00:00:00+00:00"))
    host.ship("20261101T000000-0000000", shipped_at="2035-01-01T00:00:00+00:00")
    assert host.releases.prunable(2, set()) == ["20261101T000000-0000000"]
