"""The processes of the Procfile and the jobs, on a host that has a broker."""

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from deploys import Deploy, Site

from tools.checkout import APP_IMAGES

FIRST = f"{APP_IMAGES}:molecule-first"
BOUNDARY = "org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager StartTransientUnit"


def until(what: Callable[[], Any], seconds: float = 60) -> Any:
    """What it returns, once that is true."""
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.3)
    return found


def running(host: Any, kind: str) -> list[str]:
    """The units of a process that are up, or on their way."""
    shown = host.check_output(f"systemctl list-units --plain --no-legend --full 'app-{kind}.*@*.service'")
    return [line.split()[0] for line in shown.splitlines()]


@pytest.fixture
def order(ask: Any) -> Callable[[], Callable[[], bool]]:
    """Ask for a picture, and tell how to see whether it is there."""

    def ordered() -> Callable[[], bool]:
        body = json.dumps({"url": f"https://example.org/{time.time_ns()}"})
        slug = ask("/links", method="POST", body=body, **{"Content-Type": "application/json"}).json["slug"]
        answer = ask(f"/links/{slug}/qr", method="POST")
        assert answer.status == 202, answer
        place = answer.headers["location"]
        return lambda: bool(ask(place).headers.get("content-type") == "image/png")

    return ordered


def test_they_run_as_the_app_does(host: Any, status: Any) -> None:
    assert status["state"] == "healthy"
    assert status["processes"] == {"worker.1": "active", "beat.1": "active"}
    properties = (
        "User,RootDirectory,PrivateNetwork,NoNewPrivileges,ProtectSystem,SystemCallFilter,CapabilityBoundingSet"
    )
    web = host.check_output(f"systemctl show --property={properties} app@{status['live']}.service")
    for name in status["processes"]:
        unit = f"app-{name}@{status['live']}.service"
        assert host.check_output(f"systemctl show --property={properties} {unit}") == web
    assert "PrivateNetwork=yes" in web


def test_work_is_done(order: Any) -> None:
    until(order())


def test_a_worker_that_is_killed_comes_back(host: Any, status: Any, order: Any) -> None:
    unit = f"app-worker.1@{status['live']}.service"
    before = host.check_output(f"systemctl show --property=MainPID {unit}")
    host.check_output(f"systemctl kill --signal=KILL {unit}")
    until(order())
    assert host.check_output(f"systemctl show --property=MainPID {unit}") != before


def test_a_deploy_hands_the_work_over(host: Any, deployer: Any, status: Any, order: Any) -> None:
    seen: list[list[str]] = []
    deploy = Deploy(image=FIRST)
    watcher = threading.Thread(target=lambda: _sample(host, deploy, seen))
    watcher.start()
    pictures = []
    while deploy.process.poll() is None:
        pictures.append(order())
        time.sleep(0.2)
    watcher.join()
    assert deploy.wait() == 0, deploy.output

    for made in pictures:
        until(made, seconds=120)
    live = Site(deployer).status()["live"]
    assert live != status["live"]
    until(lambda: running(host, "worker") == [f"app-worker.1@{live}.service"])
    assert running(host, "beat") == [f"app-beat.1@{live}.service"]
    assert {unit for units in seen for unit in units} == {
        f"app-beat.1@{release}.service" for release in (status["live"], live)
    }
    assert max(map(len, seen)) == 1, "two schedulers ran at the same time"


def _sample(host: Any, deploy: Deploy, seen: list[list[str]]) -> None:
    while deploy.process.poll() is None:
        seen.append(running(host, "beat"))
        time.sleep(0.1)


def test_a_release_whose_worker_crashes_is_taken_back(host: Any, deployer: Any, status: Any, order: Any) -> None:
    deploy = Deploy(image=f"{APP_IMAGES}:molecule-idle")
    assert deploy.wait() != 0
    assert "process worker.1 crashed" in deploy.output
    assert "No module named a_worker_that_is_not_there" in deploy.output
    after = Site(deployer).status()
    assert (after["live"], after["state"]) == (status["live"], "healthy")
    assert running(host, "worker") == [f"app-worker.1@{status['live']}.service"]
    assert running(host, "beat") == [f"app-beat.1@{status['live']}.service"]
    until(order())


def test_a_process_that_the_image_does_not_have_is_refused_before_anything_is_shipped(
    host: Any,
) -> None:
    before = host.check_output("ls -A /srv/app/releases")
    host.check_output("cp /etc/slipway/config.json /root/config.json")
    host.check_output('sed -i \'s/"worker": 1/"mailer": 1/\' /etc/slipway/config.json')
    try:
        deploy = Deploy(image=FIRST)
        assert deploy.wait() != 0
    finally:
        host.check_output("mv /root/config.json /etc/slipway/config.json")
    assert f"app_processes has mailer, and the Procfile of {FIRST} has release, worker, beat" in deploy.output
    assert host.check_output("ls -A /srv/app/releases") == before


def test_a_job_runs_in_the_live_release(host: Any, deployer: Any, status: Any) -> None:
    journal = f"journalctl --namespace=app --no-pager --output=cat --unit=job-tick@{status['live']}.service"
    until(lambda: f"tick of {status['live']}" in deployer.check_output(journal))
    # Not told while one runs.
    assert until(lambda: Site(deployer).status()["jobs"]["tick"])["result"] == "success"


def test_a_stolen_key_makes_no_other_unit_of_these_names(deployer: Any, host: Any, status: Any) -> None:
    for name in ("app-worker.1", "app-worker.2", "app-none.1", "job-tick", "job-none"):
        unit = f"{name}@20260101T000000-abcdef0.service"
        start = f"1 {unit} 1 ExecStart 'a(sasb)' 1 /usr/bin/touch 2 /usr/bin/touch /root/taken false"
        call = f"busctl call {BOUNDARY} 'ssa(sv)a(sa(sv))' {unit} fail 1 Description s x {start}"
        answer = deployer.run(call)
        assert "denied" in answer.stderr or "fragment file" in answer.stderr, answer
    assert not host.file("/root/taken").exists
    for unit in ("job-tick.timer", "job-tick.service", f"app-worker.2@{status['live']}.service"):
        assert "denied" in deployer.run(f"systemctl --no-ask-password stop {unit}").stderr.lower()
