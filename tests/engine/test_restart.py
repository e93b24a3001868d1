"""`slipway restart`: what the engine restarts, when it refuses, and what it tells. On a real host: shield/test_scale.py."""

import pytest

from slipway.engine import audit, cli, deploy, lock
from slipway.engine.errors import SystemdError
from slipway.engine.lock import Holder
from slipway.engine.status import status
from tests.engine.fakes import Behaviour, FakeHost
from tests.engine.names import A, B

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def live(command_line: FakeHost) -> None:
    command_line.has_processes()
    deploy.activate(command_line, command_line.ship(A))
    command_line.systemd.calls.clear()


def _restarted(host: FakeHost) -> list[str]:
    return [call for call in host.systemd.calls if call.startswith("restart ")]


def test_the_web_server_restarts_first_then_each_process(host: FakeHost, capsys: Captured) -> None:
    assert cli.main(["restart", "--by", "alice"]) == 0
    assert host.systemd.calls == [
        f"restart app@{A}.service",
        f"restart app-worker.1@{A}.service",
        f"restart app-worker.2@{A}.service",
        f"restart app-beat.1@{A}.service",
    ]
    assert capsys.readouterr().out == f"{A} is restarted\n"
    assert audit.last(host)[-1].items() >= {"what": "restart", "by": "alice", "ended": "done"}.items()
    assert status(host)["live"] == A


def test_a_web_server_that_is_not_ready_leaves_the_processes_alone(host: FakeHost, capsys: Captured) -> None:
    host.systemd.servers[f"app@{A}.service"].behaviour = Behaviour(not_ready_for=10**6)
    assert cli.main(["restart"]) == 1
    error = capsys.readouterr().err
    assert f"slipway: {A} does not run again: it was not ready within 0.3 s; last response: 503" in error
    assert "`slipway rollback` returns to the release before" in error
    assert _restarted(host) == [f"restart app@{A}.service"]
    assert audit.last(host)[-1].items() >= {"what": "restart", "ended": "failed"}.items()


def test_a_process_that_crashes_is_named(host: FakeHost, capsys: Captured) -> None:
    host.systemd.behaviours[A] = Behaviour(process_crashes="worker")
    assert cli.main(["restart"]) == 1
    assert f"{A} does not run again: process worker.1 crashed. See `slipway logs`" in capsys.readouterr().err
    assert _restarted(host)[-1] == f"restart app-worker.1@{A}.service"


def test_a_process_that_systemd_does_not_start_is_named(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    def refuse(unit: str, **_options: object) -> None:
        if "worker" in unit:
            raise SystemdError("Job failed.\nSee systemctl status")

    monkeypatch.setattr(host.systemd, "restart", refuse)
    assert cli.main(["restart"]) == 1
    assert "process worker.1 did not start (Job failed.)" in capsys.readouterr().err


def test_not_during_a_deploy_and_no_deploy_during_a_restart(host: FakeHost, capsys: Captured) -> None:
    with lock.held(host.lock_file, Holder(release=B, by="bob")):
        assert cli.main(["restart"]) == 1
    assert f"another activation is running: {B} by bob" in capsys.readouterr().err
    assert not host.systemd.calls
    seen: list[str] = []
    host.systemd.before_call = lambda _call: seen.append(str(lock.holder(host.lock_file)))
    assert cli.main(["restart", "--by", "alice"]) == 0
    assert all(holder.startswith("a restart by alice since ") for holder in seen)
    assert len(seen) == 4


def test_an_empty_host_has_nothing_to_restart(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setattr(host.releases.__class__, "current", lambda _self: None)
    assert cli.main(["restart"]) == 1
    assert "there is no live release to restart: deploy one" in capsys.readouterr().err
    assert not host.systemd.calls
