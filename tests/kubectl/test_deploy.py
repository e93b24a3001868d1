"""Deploys to a cluster: the order of the commands, and what is left when one fails."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from slipway.controller.kubernetes import wait
from tests.kubectl.conftest import OBJECTS, Shop, image

LABEL = "app.kubernetes.io/component"
ALL = ("web", "worker", "beat")


def test_the_commands_are_those_of_the_page_in_its_order(shop: Shop) -> None:
    release = shop.deploy(1)
    assert shop.changes() == [
        "delete job migrate --ignore-not-found",
        f"apply -k FOLDER -l {LABEL} in (migrate)",
        "wait job/migrate --for=jsonpath={.status.conditions} --timeout=11m",
        "wait job/migrate --for=condition=Complete --timeout=10s",
        f"apply -k FOLDER -l {LABEL} notin (migrate,worker,beat)",
        "rollout status deployment/web",
        f"apply -k FOLDER -l {LABEL} in (worker,beat)",
        "rollout status deployment/worker",
        "rollout status deployment/beat",
        f"annotate deployment/web slipway/releases={release} --overwrite",
    ]
    assert shop.images() == dict.fromkeys(ALL, image(1))


def test_an_app_of_a_web_server_alone_has_neither_migration_nor_processes(shop: Shop) -> None:
    shop.overlay(OBJECTS[1])
    shop.deploy(1)
    assert shop.changes()[0] == f"apply -k FOLDER -l {LABEL} notin (migrate)"


def test_the_same_objects_are_the_same_release(shop: Shop) -> None:
    release = shop.deploy(1)
    before = shop.state["deployments"]
    status, printed = shop.slipway("deploy", "production", "--image", image(1))
    assert (status, printed.splitlines()[-1]) == (0, f"deploy production: {release}")
    assert f"{release} was live already." in printed
    assert shop.state["deployments"] == before


@pytest.mark.parametrize(
    ("fails", "undone"),
    [
        (rf"apply -k \S+ -l {LABEL} in \(migrate\)", "No pod was changed: {live} is live."),
        ("wait job/migrate --for=condition.*", "No pod was changed: {live} is live."),
        (rf"apply -k \S+ -l {LABEL} notin .*", "Undone: web returned to {live}."),
        ("rollout status deployment/web", "Undone: web returned to {live}."),
        ("rollout status deployment/worker", "Undone: web, worker, beat returned to {live}."),
        ("annotate .*", "Undone: web, worker, beat returned to {live}."),
    ],
)
def test_a_release_that_fails_is_undone_and_red(shop: Shop, fails: str, undone: str) -> None:
    live = shop.deploy(1)
    shop.set(fails={fails: "error: no"})
    status, printed = shop.slipway("deploy", "production", "--image", image(2))
    assert status == 1
    assert undone.format(live=live) in printed
    assert shop.images() == dict.fromkeys(ALL, image(1))
    assert shop.live() == live


def test_a_first_release_that_fails_is_removed(shop: Shop) -> None:
    shop.set(fails={"rollout status deployment/worker": "error: no"})
    status, printed = shop.slipway("deploy", "production", "--image", image(1))
    assert status == 1
    assert "Undone: web, worker, beat removed: there was none before." in printed
    assert shop.state["deployments"] == []


def test_a_cluster_that_is_lost_is_said_and_the_next_deploy_returns_to_what_was_live(shop: Shop) -> None:
    live = shop.deploy(1)
    gone = "Unable to connect to the server: connection refused"
    shop.set(fails={"rollout status deployment/web": gone, "rollout undo .*": gone, "get (pods|events).*": gone})
    status, printed = shop.slipway("deploy", "production", "--image", image(2))
    assert status == 1
    assert f"NOT UNDONE: kubectl rollout undo deployment/web --to-revision=1: {gone}" in printed
    assert "The cluster goes on by itself with web. When it answers: slipway status production" in printed
    assert shop.images()["web"] == image(2)

    shop.set(fails={})
    status, printed = shop.slipway("status", "production")
    assert printed.startswith("production: mixed\n")
    assert "To return: slipway rollback production" in printed
    shop.set(fails={"rollout status deployment/web": "error: no"})
    assert shop.slipway("deploy", "production", "--image", image(3))[0] == 1
    assert shop.images() == dict.fromkeys(ALL, image(1))
    assert shop.live() == live


@pytest.mark.parametrize(
    ("hangs", "told"),
    [
        ("wait job/migrate --for=json.*", "The migration was stopped\nNo pod was changed: {live} is live."),
        ("rollout status deployment/web", "interrupted by SIG{name}\nUndone: web returned to {live}."),
    ],
)
@pytest.mark.parametrize("name", ["INT", "TERM"])
def test_an_interrupted_deploy_is_undone(shop: Shop, hangs: str, told: str, name: str) -> None:
    live = shop.deploy(1)
    shop.set(fails={hangs: "hang"}, calls=[])
    printed = interrupted(shop, {"hang": signal.Signals[f"SIG{name}"]})
    assert told.format(live=live, name=name) in printed
    assert shop.images() == dict.fromkeys(ALL, image(1))
    assert ("delete job migrate --ignore-not-found --wait=false" in shop.changes()) == hangs.startswith("wait")


def interrupted(shop: Shop, signals: dict[str, signal.Signals]) -> str:
    """Deploy, and send a signal to all processes at each of these times. Returns what is printed at the end."""
    program = [sys.executable, "-c", "from slipway.controller.cli import main; main()"]
    command = [*program, "deploy", "production", "--image", image(2)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        for when, number in signals.items():
            deadline = time.monotonic() + 60
            while not Path(f"{shop.state_file}.{when}").exists():
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
            os.killpg(process.pid, number)
        _, printed = process.communicate(timeout=60)
    assert process.returncode == 1
    return printed


def test_a_second_interrupt_waits_for_the_undo(shop: Shop) -> None:
    live = shop.deploy(1)
    shop.set(fails={"rollout status deployment/web": "hang", "rollout undo .*": "slow"})
    printed = interrupted(shop, {"hang": signal.SIGINT, "slow": signal.SIGINT})
    assert f"Undone: web returned to {live}." in printed
    assert shop.images() == dict.fromkeys(ALL, image(1))


def pod(**container: object) -> dict[str, object]:
    """Return a pod whose container has a status."""
    status = {"phase": "Running", "containerStatuses": [{"name": "app", "restartCount": 1, **container}]}
    spec = {"containers": [{"name": "app", "resources": {"limits": {"memory": "64Mi"}}}]}
    return {"metadata": {"name": "web-7d9f"}, "spec": spec, "status": status}


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (
            pod(lastState={"terminated": {"exitCode": 3}}),
            [
                "the web server crashed while starting (exit status 3)",
                "Event: Readiness probe failed: HTTP probe failed with statuscode: 503",
                "Hint: ",
                "Last lines of pod/web-7d9f:",
                "  ModuleNotFoundError: No module named 'httpx'",
            ],
        ),
        (
            pod(state={"terminated": {"exitCode": 137, "reason": "OOMKilled"}}),
            [
                "crashed while starting (SIGKILL): out of memory (resources.limits.memory of web: 64Mi)",
                "Hint: all processes of a pod together may have 64Mi",
            ],
        ),
        (
            pod(state={"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}}),
            ["the web server did not start (ImagePullBackOff: Back-off pulling image)"],
        ),
        (pod(), ['the web server is not ready: deployment "web" exceeded its progress deadline']),
    ],
)
def test_the_cause_is_told_in_the_words_of_a_host(shop: Shop, seen: dict[str, object], words: list[str]) -> None:
    shop.set(
        fails={"rollout status deployment/web": 'error: deployment "web" exceeded its progress deadline'},
        pods=[seen],
        events=[{"message": "Readiness probe failed: HTTP probe failed with statuscode: 503"}] * 2,
        logs='Traceback (most recent call last):\n  File "/app/main.py", line 1, in <module>\n    import httpx\n'
        "ModuleNotFoundError: No module named 'httpx'\n",
    )
    status, printed = shop.slipway("deploy", "production", "--image", image(1))
    assert status == 1
    for each in words:
        assert each in printed
    assert printed.count("Readiness probe failed") == 1


def test_the_lines_are_those_of_a_container_that_is_still_there(shop: Shop) -> None:
    ended, other = (pod(lastState={"terminated": {"exitCode": 3}}) for _ in range(2))
    other["metadata"] = {"name": "web-8e0a"}
    shop.set(
        fails={"rollout status deployment/web": "error: no"},
        pods=[ended, other],
        logs={
            "web-7d9f": "unable to retrieve container logs for containerd://f9fd30df\n",
            "web-8e0a": "ModuleNotFoundError: No module named 'httpx'\n",
        },
    )
    status, printed = shop.slipway("deploy", "production", "--image", image(1))
    assert (status, "unable to retrieve" in printed) == (1, False)
    assert "pod/web-8e0a" in printed
    assert "No module named 'httpx'" in printed


def test_a_pod_that_can_never_start_is_not_waited_for(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wait, "POLL_SECONDS", 0.2)
    monkeypatch.setattr(wait, "STUCK_SECONDS", 0.3)
    creating = pod(state={"waiting": {"reason": "ContainerCreating"}})
    shop.set(
        fails={"wait job/migrate --for=json.*": "hang"},
        pods=[creating],
        events=[{"message": 'MountVolume.SetUp failed for volume "secrets" : secret "app-owner" not found'}],
    )
    began = time.monotonic()
    status, printed = shop.slipway("deploy", "production", "--image", image(1))
    assert status == 1
    assert 'Event: MountVolume.SetUp failed for volume "secrets" : secret "app-owner" not found' in printed
    assert time.monotonic() - began < 30
