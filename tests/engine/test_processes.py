"""The processes of the Procfile: they are part of a release, and go the way it goes."""

from dataclasses import replace
from typing import Any, cast

import pytest

from slipway.engine import deploy, phases, prune, ship
from slipway.engine.cli import main
from slipway.engine.errors import PhaseError, SystemdError
from slipway.engine.recover import recover
from slipway.engine.start_scripts import start_scripts
from slipway.engine.status import status, text
from slipway.model.errors import UsageError
from tests.engine.fakes import Behaviour, FakeHost, fails
from tests.engine.manifests import manifest
from tests.engine.names import A, B


def all_of(release: str) -> set[str]:
    return {f"worker.1@{release}", f"worker.2@{release}", f"beat.1@{release}"}


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phases, "SETTLE_SECONDS", 0.02)


@pytest.fixture
def live(host: FakeHost) -> FakeHost:
    host.has_processes()
    deploy.activate(host, host.ship(A))
    host.systemd.calls.clear()
    return host


def call(kind: str, process: str, release: str) -> str:
    return f"{kind} app-{process}@{release}.service"


def test_they_start_with_the_release_and_end_with_it(live: FakeHost) -> None:
    assert live.systemd.processes() == all_of(A)
    deploy.activate(live, live.ship(B))
    assert live.systemd.processes() == all_of(B)
    calls = live.systemd.calls
    # The new workers are there before the old ones go, so that some are always there.
    assert calls.index(call("start", "worker.2", B)) < calls.index(call("stop", "worker.1", A))
    assert call("stop", "worker.1", A) in live.systemd.unwaited, "a task that takes long does not keep the deploy"


def test_a_singleton_never_runs_twice(live: FakeHost) -> None:
    running: list[set[str]] = []

    def look(_call: str) -> None:
        running.append({unit for unit in live.systemd.processes() if unit.startswith("beat")})

    live.systemd.before_call = look
    deploy.activate(live, live.ship(B))
    assert max(map(len, running)) == 1
    assert call("stop", "beat.1", A) not in live.systemd.unwaited
    assert live.systemd.processes() == all_of(B)


@pytest.mark.parametrize("process", ["worker", "beat"])
@pytest.mark.parametrize("watched", [False, True])
def test_a_release_whose_process_crashes_is_aborted(live: FakeHost, process: str, watched: bool) -> None:
    if watched:
        live.site = replace(live.site, watch_seconds=cast("int", 0.05))
    bad = live.ship(B, Behaviour(process_crashes=process, output=("ModuleNotFoundError: No module named 'tasks'",)))
    with pytest.raises(PhaseError, match=rf"(?s)process {process}\.1 crashed.*No module named 'tasks'"):
        deploy.activate(live, bad)
    assert live.releases.current() == live.releases.slice("live") == live.releases.slice("canary") == A
    assert live.systemd.running() == {A}
    assert live.systemd.processes() == all_of(A)


def test_a_process_that_does_not_start_aborts_the_release(live: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    start = live.systemd.start

    def refuse(*units: str, **options: Any) -> None:
        (fails("Job failed") if call("", "worker.2", B).strip() in units else start)(*units, **options)

    monkeypatch.setattr(live.systemd, "start", refuse)
    with pytest.raises(PhaseError, match=r"process worker\.2 did not start \(Job failed\)"):
        deploy.activate(live, live.ship(B))
    assert live.systemd.processes() == all_of(A)


def test_a_rollback_brings_the_old_ones_back(live: FakeHost) -> None:
    deploy.activate(live, live.ship(B))
    live.change(A, request={"kind": "rollback", "state": "requested"})
    deploy.activate(live, A)
    assert live.systemd.processes() == all_of(A)


@pytest.mark.parametrize("missing", [("worker", "beat"), ("process",)])
def test_a_release_from_before_there_were_processes_can_be_returned_to(
    live: FakeHost, missing: tuple[str, ...]
) -> None:
    deploy.activate(live, live.ship(B))
    for name in missing:
        (live.releases.path(A) / ".slipway" / name).unlink()
    live.change(A, request={"kind": "rollback", "state": "requested"})
    deploy.activate(live, A)
    assert live.systemd.processes() == set()
    assert status(live)["state"] == "healthy"


def test_they_come_back_at_boot_and_are_not_waited_for(live: FakeHost) -> None:
    live.systemd.close()
    live.systemd.states.clear()
    recover(live, boot=True)
    assert live.systemd.processes() == all_of(A)
    assert live.systemd.calls == live.systemd.unwaited
    assert live.systemd.calls[:2] == [f"start app@{A}.socket", f"start app@{A}.service"]


def test_a_process_that_is_down_is_shown_and_recover_starts_it(live: FakeHost) -> None:
    live.systemd.states[f"app-worker.2@{A}.service"] = "failed"
    shown = status(live)
    assert shown["state"] == "unhealthy"
    assert "processes worker.1 active, worker.2 failed, beat.1 active" in text(shown)
    assert recover(live) == [f"started app-worker.2@{A}.service"]
    assert status(live)["state"] == "healthy"


def test_recover_stops_leftover_singletons_before_it_starts_the_live_ones(live: FakeHost) -> None:
    live.ship(B)
    live.systemd.states |= {f"app-beat.1@{A}.service": "inactive", f"app-beat.1@{B}.service": "active"}
    recover(live)
    assert live.systemd.calls[:2] == [call("stop", "beat.1", B), call("start", "beat.1", A)]
    assert not {*live.systemd.calls[:2]} & {*live.systemd.unwaited}
    assert call("stop", "beat.1", A) not in live.systemd.calls
    assert live.systemd.processes() == all_of(A)


def test_recover_starts_no_singleton_beside_one_that_does_not_stop(
    live: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    live.ship(B)
    live.systemd.states |= {f"app-beat.1@{A}.service": "inactive", f"app-beat.1@{B}.service": "active"}
    monkeypatch.setattr(live.systemd, "stop", fails("not done within 120 s"))
    mended = recover(live)
    assert f"the singletons of {B} do not stop, so those of {A} do not start: not done within 120 s" in mended
    assert live.systemd.states[f"app-beat.1@{A}.service"] == "inactive"


def test_one_that_finishes_its_task_after_it_was_retired_is_left_alone_and_keeps_its_files(live: FakeHost) -> None:
    live.site = replace(live.site, keep=1)
    deploy.activate(live, live.ship(B))
    live.systemd.states[f"app-worker.1@{A}.service"] = "deactivating"
    live.systemd.calls.clear()
    assert recover(live) == []
    assert live.systemd.calls == []
    live.change(A, healthy=False)
    prune.prune(live)
    assert live.releases.path(A).is_dir()


def test_a_job_runs_in_the_live_release(live: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    live.site = replace(live.site, jobs=["nightly"])
    (live.releases.path(A) / ".slipway/jobs").mkdir()
    (live.releases.path(A) / ".slipway/jobs/nightly").touch()
    monkeypatch.setattr("slipway.engine.cli.Host", lambda _config: live)
    monkeypatch.setattr("slipway.engine.cli.Site.load", lambda: live.site)
    assert main(["job", "nightly"]) == 0
    assert live.systemd.calls == [f"start job-nightly@{A}.service"]
    assert status(live)["jobs"] == {"nightly": None}
    live.systemd.results["job-nightly.service"] = ("exit-code", 1796097600.0)
    assert status(live)["jobs"] == {"nightly": {"result": "exit-code", "at": "2026-12-01T04:00:00+00:00"}}
    assert "job       nightly: exit-code at 2026-12-01T04:00:00+00:00" in text(status(live))


def test_a_release_that_a_job_runs_in_is_not_removed(live: FakeHost) -> None:
    deploy.activate(live, live.ship(B))
    live.site = replace(live.site, keep=1)
    live.change(A, healthy=False)
    live.systemd.states[f"job-nightly@{A}.service"] = "activating"
    prune.prune(live)
    assert live.releases.path(A).is_dir()
    live.systemd.states[f"job-nightly@{A}.service"] = "inactive"
    prune.prune(live)
    assert not live.releases.path(A).exists()


def test_a_job_says_what_is_wrong(
    live: FakeHost, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    live.site = replace(live.site, jobs=["nightly"])
    monkeypatch.setattr("slipway.engine.cli.Host", lambda _config: live)
    monkeypatch.setattr("slipway.engine.cli.Site.load", lambda: live.site)
    assert main(["job", "hourly"]) == 2
    assert "there is no job 'hourly'; app_jobs has nightly" in capsys.readouterr().err
    assert main(["job", "nightly"]) == 1
    assert f"{A} has no job nightly" in capsys.readouterr().err
    (live.releases.path(A) / ".slipway/jobs").mkdir()
    (live.releases.path(A) / ".slipway/jobs/nightly").touch()
    monkeypatch.setattr(live.systemd, "start", fails("Job failed"))
    assert main(["job", "nightly"]) == 1
    assert f"journalctl --namespace=+app --unit=job-nightly@{A}.service" in capsys.readouterr().err


def test_a_job_does_not_run_twice_although_a_deploy_lies_between(
    live: FakeHost, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    live.site = replace(live.site, jobs=["nightly"])
    live.systemd.states[f"job-nightly@{A}.service"] = "activating"
    deploy.activate(live, live.ship(B))
    (live.releases.path(B) / ".slipway/jobs").mkdir()
    (live.releases.path(B) / ".slipway/jobs/nightly").touch()
    monkeypatch.setattr("slipway.engine.cli.Host", lambda _config: live)
    monkeypatch.setattr("slipway.engine.cli.Site.load", lambda: live.site)
    assert main(["job", "nightly"]) == 1
    assert f"runs already, as job-nightly@{A}.service" in capsys.readouterr().err
    assert f"start job-nightly@{B}.service" not in live.systemd.calls


def test_a_singleton_is_not_handed_back_while_the_new_one_still_runs(
    live: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = live.systemd.stop

    def hangs(*units: str, **options: Any) -> None:
        stop(*units, **options)
        if call("", "beat.1", B).strip() in units:
            raise SystemdError("not done in time")

    monkeypatch.setattr(live.systemd, "stop", hangs)
    with pytest.raises(PhaseError):
        deploy.activate(live, live.ship(B, Behaviour(broken_when_live=True)))
    stopped = live.systemd.calls.index(call("stop", "beat.1", B))
    assert call("start", "beat.1", A) not in live.systemd.calls[stopped:]
    assert any(
        "do not run again" in warning and "not done in time" in warning for warning in live.releases.record(B).warnings
    )


def test_recover_waits_for_a_scheduler_that_still_stops_before_it_starts_its_own(live: FakeHost) -> None:
    live.ship(B)
    live.systemd.states |= {f"app-beat.1@{A}.service": "inactive", f"app-beat.1@{B}.service": "deactivating"}
    recover(live)
    assert live.systemd.calls.index(call("stop", "beat.1", B)) < live.systemd.calls.index(call("start", "beat.1", A))
    assert live.systemd.unwaited == []


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({}, "app_processes has worker, beat, and the Procfile of app:test has nothing: add the line there"),
        ({"procfile": {"worker": "exec work"}}, "app_processes has beat, and the Procfile of app:test has worker"),
        (
            {"procfile": {"worker": "celery worker", "beat": "exec beat"}},
            "Write `worker: exec celery worker`",
        ),
        (
            {"procfile": {"worker": "exec work", "beat": "exec beat"}, "jobs": {"nightly": "report"}},
            "app_jobs has nightly and this host was provisioned for nothing (nightly): provision it again",
        ),
    ],
)
def test_what_the_host_was_not_provisioned_for_is_refused(
    host: FakeHost, changed: dict[str, Any], message: str
) -> None:
    host.has_processes()
    with pytest.raises(UsageError) as refused:
        ship.begin(host, A, manifest(**changed))
    assert message in str(refused.value)
    assert list(host.releases.folder.iterdir()) == []


def test_a_release_whose_worker_is_down_is_not_unchanged(live: FakeHost) -> None:
    shipped = manifest(procfile={"worker": "exec work", "beat": "exec beat"})
    live.change(A, identity=ship.release_identity(shipped, live.units, live.secrets_hash), commit=shipped.image.commit)
    for name, script in start_scripts(A, shipped).items():
        (live.releases.path(A) / ".slipway" / name).write_text(script)
    assert ship.begin(live, B, shipped)["unchanged"]
    live.systemd.states[f"app-worker.2@{A}.service"] = "inactive"
    assert not ship.begin(live, B, shipped)["unchanged"]


def test_the_log_is_of_all_processes_or_of_one(
    live: FakeHost, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    commands: list[list[str]] = []
    monkeypatch.setattr("os.execvp", lambda _program, command: commands.append(command))
    monkeypatch.setattr("slipway.engine.cli.Host", lambda _config: live)
    monkeypatch.setattr("slipway.engine.cli.Site.load", lambda: live.site)

    def units(*more: str) -> list[str]:
        assert main(["logs", *more]) == 0
        return [option.removeprefix("--unit=") for option in commands.pop() if option.startswith("--unit=")]

    workers = [f"app-worker.{number}@{A}.service" for number in (1, 2)]
    assert units() == [f"app@{A}.service", *workers, f"app-beat.1@{A}.service"]
    assert units("--process", "worker") == workers
    assert units("--process", "web") == [f"app@{A}.service"]
    assert main(["logs", "--process", "mailer"]) == 2
    assert "no process 'mailer'" in capsys.readouterr().err
