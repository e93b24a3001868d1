"""The other verbs of an environment in a cluster."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from slipway.controller import inventory
from slipway.controller.playbook import Playbook
from tests.kubectl.conftest import HOSTS, Shop, image

ALL = ("web", "worker", "beat")


def test_a_rollback_returns_all_processes_to_the_release_before(shop: Shop) -> None:
    releases = [shop.deploy(number) for number in (1, 2, 3)]
    shop.changes()
    status, printed = shop.slipway("rollback", "production")
    assert (status, f"{releases[1]} is live." in printed) == (0, True)
    assert shop.images() == dict.fromkeys(ALL, image(2))
    assert shop.changes() == [
        "rollout undo deployment/web --to-revision=2",
        "rollout status deployment/web",
        "rollout undo deployment/worker --to-revision=2",
        "rollout status deployment/worker",
        "rollout undo deployment/beat --to-revision=2",
        "rollout status deployment/beat",
        f"annotate deployment/web slipway/releases={releases[1]} {releases[0]} --overwrite",
    ]
    # From there the way back leads to what was before it, and not to the release that was left.
    assert shop.slipway("rollback", "production")[0] == 0
    assert shop.live() == releases[0]
    status, printed = shop.slipway("rollback", "production")
    assert (status, "no earlier healthy release in production" in printed) == (2, True)


def test_a_rollback_to_a_named_release(shop: Shop) -> None:
    first, second = shop.deploy(1), shop.deploy(2)
    shop.deploy(3)
    assert shop.slipway("rollback", "production", "--to", first)[0] == 0
    assert shop.live() == first
    assert shop.slipway("rollback", "production", "--to", second)[0] == 0
    assert shop.images() == dict.fromkeys(ALL, image(2))
    shop.changes()
    status, printed = shop.slipway("rollback", "production", "--to", "20261122T105851-3f2a9c1")
    assert status == 2
    assert "'20261122T105851-3f2a9c1' is no release that production keeps. There is: " in printed
    assert shop.changes() == []


def test_a_rollback_after_a_release_that_failed_does_not_go_there(shop: Shop) -> None:
    first = shop.deploy(1)
    shop.deploy(2)
    shop.set(fails={"rollout status deployment/web": "error: no"})
    assert shop.slipway("deploy", "production", "--image", image(3))[0] == 1
    shop.set(fails={})
    assert shop.slipway("rollback", "production")[0] == 0
    assert shop.live() == first


def test_a_rollback_that_fails_is_undone(shop: Shop) -> None:
    shop.deploy(1)
    live = shop.deploy(2)
    shop.set(fails={"rollout status deployment/worker": "error: no"})
    status, printed = shop.slipway("rollback", "production")
    assert status == 1
    assert f"Undone: web, worker returned to {live}." in printed
    assert shop.images() == dict.fromkeys(ALL, image(2))


def test_a_rollback_ends_an_interrupted_deploy(shop: Shop) -> None:
    live = shop.deploy(1)
    shop.set(fails={"rollout (status deployment/web|undo .*)": "error: gone"})
    assert shop.slipway("deploy", "production", "--image", image(2))[0] == 1
    shop.set(fails={})
    status, printed = shop.slipway("rollback", "production")
    assert (status, f"{live} is live." in printed) == (0, True)
    assert shop.images() == dict.fromkeys(ALL, image(1))


def test_a_namespace_deployed_by_hand_is_taken_over(shop: Shop) -> None:
    shop.deploy(1)
    state = shop.state
    for each in state["replicasets"]:
        labels = each["spec"]["template"]["metadata"]["labels"]
        labels["pod-template-hash"] = each["metadata"]["ownerReferences"][0]["name"] + "5d9c"
        del labels["app.kubernetes.io/version"]
    del state["deployments"][0]["metadata"]["annotations"]["slipway/releases"]
    shop.set(**state)
    assert shop.live() == "web5d9c"
    shop.set(fails={"rollout status deployment/beat": "error: no"})
    status, printed = shop.slipway("deploy", "production", "--image", image(2))
    assert (status, "Undone: web, worker, beat returned to web5d9c." in printed) == (1, True)
    assert shop.images() == dict.fromkeys(ALL, image(1))


def test_the_status_of_nothing_and_of_releases(shop: Shop) -> None:
    assert shop.slipway("status", "production")[1].startswith("production: empty\n")
    first, second = shop.deploy(1), shop.deploy(2)
    state = shop.state
    for each in state["deployments"]:
        each["status"] = {"readyReplicas": 1}
    shop.set(**state)
    printed = shop.slipway("status", "production")[1]
    assert printed.splitlines()[:2] == ["production: healthy", "  cluster   production, namespace shop"]
    assert f"  rollback  {first}\n" in printed
    assert f"  * {second}  2026-11-29T10:00:00Z  {image(2)}" in printed
    values = json.loads(shop.slipway("status", "production", "--json")[1])["production"]
    assert (values["live"], values["image_name"], values["rollback_target"]) == (second, image(2), first)
    assert values["processes"]["worker"] == {"ready": 1, "wanted": 1}
    state["deployments"][1]["status"] = {}
    shop.set(**state)
    assert "  problem   pods that are ready: worker: 0 of 1." in shop.slipway("status", "production")[1]


def crashed(component: str, restarts: int, ago: float, **how: object) -> dict[str, object]:
    """A pod that is ready again."""
    at = datetime.fromtimestamp(time.time() - ago, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    last = {"terminated": {"exitCode": 137, "finishedAt": at, **how}}
    container = {"name": "app", "restartCount": restarts, "state": {"running": {}}, "lastState": last}
    return {
        "metadata": {"name": component, "labels": {"app.kubernetes.io/component": component}},
        "status": {"containerStatuses": [container]},
    }


def test_pods_that_crash_again_and_again_are_told_between_two_crashes(shop: Shop) -> None:
    shop.deploy(1)
    state = shop.state
    for each in state["deployments"]:
        each["status"] = {"readyReplicas": 1}
    never = {"metadata": {"name": "b", "labels": {"app.kubernetes.io/component": "beat"}}, "status": {}}
    once = crashed("worker", 1, 60, exitCode=3)
    shop.set(**state | {"pods": [crashed("web", 2, 900, reason="OOMKilled"), once, crashed("beat", 9, 3700), never]})
    values = json.loads(shop.slipway("status", "production", "--json")[1])["production"]
    assert (values["state"], values["problem"], set(values["crashes"])) == ("healthy", None, {"web", "worker"})
    assert values["crashes"]["worker"]["ending"] == "exit status 3"
    web = [crashed("web", 2, 900, exitCode=1), crashed("web", 1, 30, reason="OOMKilled")]
    shop.set(pods=web)
    printed = shop.slipway("status", "production")[1]
    assert printed.startswith("production: unhealthy\n")
    assert (
        "  problem   web: crashed 3 times in the last hour, last by SIGKILL, the kernel killed processes of it 1 times"
        in printed
    )
    assert "`resources.limits.memory`" in printed
    assert "`slipway logs production --process web` shows the last lines" in printed
    assert "  crashes   web: crashed 3 times in the last hour, last by SIGKILL" in printed


@pytest.mark.parametrize(
    ("words", "command"),
    [
        ([], "--selector=app.kubernetes.io/name=app,app.kubernetes.io/component!=migrate --tail=100"),
        (["-n", "5", "--follow"], "component!=migrate --tail=5 --prefix --max-log-requests=50 --follow"),
        (["--process", "worker"], "--selector=app.kubernetes.io/name=app,app.kubernetes.io/component=worker --tail"),
        (["--release", "3f2a9c1d2e"], "component!=migrate,app.kubernetes.io/version=3f2a9c1d2e --tail"),
    ],
)
def test_logs_are_those_of_the_pods(shop: Shop, words: list[str], command: str) -> None:
    shop.set(pods=[{}], logs="[pod/web-7d9f/app] ready\n")
    assert shop.slipway("logs", "production", *words) == (0, "[pod/web-7d9f/app] ready\n")
    assert command in " ".join(shop.state["calls"][-1])


def test_logs_of_no_pod(shop: Shop) -> None:
    status, printed = shop.slipway("logs", "production", "--process", "worker", "--release", "3f2a9c1d2e")
    assert status == 2
    assert "no pod of the process worker of 3f2a9c1d2e is in production" in printed


@pytest.mark.parametrize(
    ("words", "instead"),
    [
        (["provision", "production"], "Type: slipway deploy production"),
        (["restore", "production"], "the database is not Slipway's there"),
        (["maintenance", "on", "production"], "the Ingress or Gateway in front answers"),
        (["scale", "workers=2", "production"], "Set its minReplicas in"),
        (["report", "production"], "slipway status production"),
        (["run", "production", "--", "true"], "kubectl --context=production --namespace=shop exec deployment/web --"),
        (["shell", "production"], "kubectl --context=production --namespace=shop exec -it deployment/web -- sh"),
        (["doctor", "production"], "slipway status production"),
        (["github", "production"], "Set the secret SLIPWAY_KUBECONFIG"),
    ],
    ids=lambda each: each[0] if isinstance(each, list) else "",
)
def test_a_verb_of_hosts_says_what_to_type_instead(shop: Shop, words: list[str], instead: str) -> None:
    status, printed = shop.slipway(*words)
    assert status == 2
    assert f"slipway {words[0]} is for hosts, and production is Kubernetes" in printed
    assert instead in printed
    assert shop.state["calls"] == []


def test_an_environment_of_hosts_stays_one(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(sources: list[Path]) -> inventory.Hosts:
        read_of.extend(sources)
        return {"www1": {}}

    read_of: list[Path] = []
    monkeypatch.setattr(inventory, "read", read)
    shop.hosts(**{name: value for name, value in HOSTS.items() if name != "engine"})
    status, printed = shop.slipway("logs", "production", "--host", "nobody")
    assert (status, "No host 'nobody' in this environment. There is: www1" in printed) == (1, True)
    # Once, as a folder: nobody looked whether it is Kubernetes.
    assert read_of == [shop.root / "deploy/production"]
    assert shop.state["calls"] == []


def test_the_option_for_an_image_is_ansibles_variable_on_hosts(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(playbook: Playbook, *, verbose: bool) -> bool:
        passed.extend(playbook.arguments)
        return False

    passed: list[str] = []
    monkeypatch.setattr(Playbook, "run", run)
    shop.hosts(ansible_host="192.0.2.9")
    assert shop.slipway("deploy", "production", "--image", "shop:latest", "--", "--check")[0] == 1
    assert passed == ["--check", "-e", "release_image=shop:latest"]
