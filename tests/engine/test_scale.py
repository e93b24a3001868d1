"""`slipway scale`: what the engine accepts, starts and tells. On a real host: shield/test_scale.py of Molecule."""

import pytest

from slipway.engine import audit, cli, deploy, instances, lock, restart, scale
from slipway.engine.errors import SystemdError
from slipway.engine.lock import Holder
from slipway.engine.probe import get_from_socket
from slipway.engine.status import status, text
from slipway.engine.systemd import UnitState
from slipway.model.errors import UsageError
from slipway.model.scale import workers
from tests.engine.fakes import FakeHost
from tests.engine.names import A, B

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def live(command_line: FakeHost) -> None:
    deploy.activate(command_line, command_line.ship(A))
    command_line.systemd.calls.clear()


def test_it_restarts_the_server_with_so_many_workers_and_says_so(host: FakeHost, capsys: Captured) -> None:
    assert cli.main(["scale", "workers=4", "--by", "alice"]) == 0
    assert host.systemd.calls == [f"start scale@{A}:4.service", f"restart app@{A}.service"]
    assert "has 4 workers until the next deploy or reboot" in capsys.readouterr().out
    assert status(host)["scaled_workers"] == 4
    assert "  workers   4, by `slipway scale`, until the next deploy or reboot" in text(status(host))
    assert audit.last(host)[-1].items() >= {"what": "scale", "by": "alice", "command": ["workers=4"]}.items()


def test_the_default_comes_back(host: FakeHost) -> None:
    assert [cli.main(["scale", words]) for words in ("workers=4", "workers=default")] == [0, 0]
    assert status(host)["scaled_workers"] is None
    assert "  workers " not in text(status(host))


def test_the_next_deploy_has_its_own_number_and_a_rollback_too(host: FakeHost) -> None:
    cli.main(["scale", "workers=4"])
    deploy.activate(host, host.ship(B))
    assert status(host)["scaled_workers"] is None
    deploy.activate(host, A)
    assert (status(host)["live"], status(host)["scaled_workers"]) == (A, None)


@pytest.mark.parametrize("why", ["crashes", "never ready"])
def test_too_many_are_undone(host: FakeHost, why: str, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    cli.main(["scale", "workers=2"])
    ready = get_from_socket
    if why == "crashes":
        state = host.systemd.state
        crashed = UnitState("active", "running", 1, 3)
        monkeypatch.setattr(host.systemd, "state", lambda unit: crashed if scale.workers(host, A) == 9 else state(unit))
    else:
        silent = ready(host.releases.root / "nobody.sock", "/", "x")
        monkeypatch.setattr(
            restart, "get_from_socket", lambda *a, **b: silent if scale.workers(host, A) == 9 else ready(*a, **b)
        )
    assert cli.main(["scale", "workers=9"]) == 1
    error = capsys.readouterr().err
    assert f"{A} does not run with 9 workers, and has as many as before: " in error
    assert status(host)["scaled_workers"] == 2
    assert host.systemd.calls[-2:] == [f"start scale@{A}:2.service", f"restart app@{A}.service"]


def test_an_undoing_that_fails_tells_both_failures(
    host: FakeHost, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    crashed = UnitState("active", "running", 1, 3)
    monkeypatch.setattr(host.systemd, "state", lambda _unit: crashed)
    assert cli.main(["scale", "workers=9"]) == 1
    error = capsys.readouterr().err
    assert f"{A} does not run with 9 workers: the web server crashed while starting. Nor does it with as many" in error
    assert "`slipway rollback` returns" in error
    assert host.systemd.calls[-2:] == [f"start scale@{A}:0.service", f"restart app@{A}.service"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("workers", "'' is no number of workers: type a whole number from 1 to 64, as workers=4"),
        ("workers=0", "'0' is no number"),
        ("workers=65", "'65' is no number"),
        ("workers=-1", "'-1' is no number"),
        ("workers=4;reboot", "'4;reboot' is no number"),
        ("workers=\u0664", "is no number"),
        ("worker=2", "'worker=2' names nothing that can be scaled: type workers=4"),
        ("4", "'4' names nothing that can be scaled"),
    ],
)
def test_other_words_are_refused(host: FakeHost, words: str, message: str, capsys: Captured) -> None:
    with pytest.raises(UsageError):
        workers(words)
    assert cli.main(["scale", words]) == 2
    assert message in capsys.readouterr().err
    assert not host.systemd.calls


def test_not_during_a_deploy(host: FakeHost, capsys: Captured) -> None:
    with lock.held(host.lock_file, Holder(release=B, by="bob")):
        assert cli.main(["scale", "workers=4"]) == 1
    assert f"{B} by bob" in capsys.readouterr().err
    assert not host.systemd.calls


def test_more_workers_than_connections_are_refused(host: FakeHost, capsys: Captured) -> None:
    host.systemd.variables = {"DATABASE_CONNECTIONS": "3"}
    assert cli.main(["scale", "workers=4"]) == 1
    assert "4 workers cannot share 3 connections to the database (DATABASE_CONNECTIONS): type workers=3" in (
        capsys.readouterr().err
    )
    assert not host.systemd.calls


def test_a_host_without_the_unit_says_what_to_type(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    def refuse(*units: str, **_options: object) -> None:
        raise SystemdError(f"Unit {units[0]} not found.")

    monkeypatch.setattr(host.systemd, "start", refuse)
    assert cli.main(["scale", "workers=4"]) == 1
    assert "a host of an earlier version: provision it" in capsys.readouterr().err


def test_an_empty_host_has_nothing_to_scale(host: FakeHost, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    monkeypatch.setattr(host.releases.__class__, "current", lambda _self: None)
    assert cli.main(["scale", "workers=4"]) == 1
    assert "there is no live release to scale: deploy one" in capsys.readouterr().err
    assert instances.service(A) in host.systemd.states
