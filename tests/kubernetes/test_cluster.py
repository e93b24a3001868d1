"""The app on a real cluster, under load. The tests run in this order: each begins with what the one before has left."""

import json
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from labs.command import ROOT
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.images import GO
from tests.platforms.traffic import RATE
from tests.platforms.waiting import within

GATEWAY_API, GATEWAY_API_SUM = "v1.4.0", "h1:ZwlNM6zOHq0h3WUX2gfByPs2yAEsy/EenYJB78jpQfQ="

IMPATIENT = {
    "target": {"kind": "Deployment", "name": "web"},
    "patch": '[{"op": "replace", "path": "/spec/progressDeadlineSeconds", "value": 45}]',
}
"""A release that makes no progress for so long has failed."""


@pytest.fixture(autouse=True)
def settled(cluster: Cluster) -> None:
    """Wait for two pods of one release, and for none that is still terminating."""
    within(120, lambda: len(cluster.get("pods", "--selector=app.kubernetes.io/component=web")["items"]) == 2)
    within(60, lambda: len(cluster.pods()) == 2)


def test_a_pod_has_a_worker_per_cpu_of_its_limit(cluster: Cluster) -> None:
    assert cluster.ask("/version")["workers"] == 1
    log = cluster.kubectl("logs", "deployment/web")
    assert "1 workers: 1 CPUs (affinity" in log


def test_the_queue_works(cluster: Cluster) -> None:
    made = cluster.ask("/links", {"url": "https://example.org/"})
    cluster.ask(f"/links/{made['slug']}/qr", {})
    within(
        60,
        lambda: (
            cluster.node.run(
                "curl", "-sfo", "/dev/null", "-w", "%{http_code}", f"{cluster.url()}/links/{made['slug']}/qr.png"
            ).stdout
            == "200"
        ),
    )
    within(90, lambda: cluster.ask("/days"))


@pytest.mark.parametrize("component", ["web", "worker", "beat"])
def test_a_pod_can_do_little(cluster: Cluster, component: str) -> None:
    look = (
        "id -u; touch /app/x 2>/dev/null && echo writable; ls /var/run/secrets/kubernetes.io 2>/dev/null;"
        "grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status | tr -d '\\t'; env | grep -i for-tests; ls /run/secrets/app"
    )
    shown = cluster.kubectl("exec", f"deployment/{component}", "--", "sh", "-c", look).split()
    assert set(shown) == {
        "10001",
        "CapEff:0000000000000000",
        "CapBnd:0000000000000000",
        "NoNewPrivs:1",
        "Seccomp:2",
        "broker_url",
        "database_url",
    }


def test_the_namespace_refuses_a_pod_that_could_become_root(cluster: Cluster) -> None:
    done = cluster.node.run("kubectl", "run", "root", "--image=root", "--namespace=app", "--dry-run=server")
    assert done.returncode == 1
    assert 'violates PodSecurity "restricted:latest"' in done.stderr


@pytest.mark.parametrize(
    ("verb", "resource", "namespace"),
    [
        ("get", "secrets", "app"),
        ("create", "pods/exec", "app"),
        ("patch", "roles.rbac.authorization.k8s.io", "app"),
        ("patch", "deployments.apps", "data"),
        ("get", "pods", "data"),
        ("get", "nodes", "app"),
    ],
)
def test_the_deployer_may_do_nothing_else(cluster: Cluster, verb: str, resource: str, namespace: str) -> None:
    done = cluster.node.run(
        "kubectl", "--context=deployer", f"--namespace={namespace}", "auth", "can-i", verb, resource
    )
    assert done.stdout.strip() == "no"


def test_a_namespace_of_somebody_else_is_refused_before_anything_is_touched(cluster: Cluster) -> None:
    hosts = cluster.project() / "deploy/node/hosts.yml"
    hosts.write_text(hosts.read_text().replace('"kubernetes_namespace": "app"', '"kubernetes_namespace": "data"'))
    done = cluster.slipway("deploy", "node", "--image", cluster.digests["second"])
    assert done.returncode == 1
    assert 'namespaces "data" is forbidden' in done.stderr
    assert "An administrator of the cluster grants it: kubernetes/deployer.yaml" in done.stderr


def test_an_update_fails_no_request(cluster: Cluster) -> None:
    (before,) = cluster.revisions()
    with cluster.traffic("update") as summary:
        assert cluster.deploy("second").returncode == 0
        within(60, lambda: cluster.revisions() != {before} and len(cluster.revisions()) == 1)
    assert summary["failures"] == 0
    assert before not in cluster.revisions()
    status = cluster.status()
    assert (status["state"], status["image_name"]) == ("healthy", cluster.digests["second"])
    assert cluster.ask("/version")["release"] == status["live"]
    assert set(status["processes"]) == {"web", "worker", "beat"}


def test_logs_are_those_of_all_processes_or_of_one(cluster: Cluster) -> None:
    printed = cluster.slipway("logs", "node").stdout
    assert {line.split("/")[1].split("-")[0] for line in printed.splitlines()} == {"web", "worker", "beat"}
    worker = cluster.slipway("logs", "node", "--process", "worker", "-n", "1").stdout
    assert worker.startswith("[pod/worker-")
    assert len(worker.splitlines()) == 1


@pytest.mark.parametrize(
    ("release", "words"),
    [
        (
            "import-fails",
            ["the web server crashed while starting (exit status ", "Hint: ", "No module named 'no_such_module'"],
        ),
        (
            "never-ready",
            ["the web server is not ready", "Event: Readiness probe failed: HTTP probe failed with status"],
        ),
    ],
)
def test_a_bad_release_gets_no_request_and_is_undone(cluster: Cluster, release: str, words: list[str]) -> None:
    before, worker, live = cluster.revisions(), set(cluster.pods("worker")), cluster.status()["live"]
    with cluster.traffic(release) as summary:
        done = cluster.deploy(release, IMPATIENT)
    assert done.returncode == 1
    for each in [*words, "Undone: web returned to "]:
        assert each in done.stderr
    assert summary["failures"] == 0
    assert (cluster.revisions(), set(cluster.pods("worker"))) == (before, worker)
    status = cluster.status()
    assert (status["state"], status["live"]) == ("healthy", live)


def test_a_deploy_that_is_interrupted_is_undone(cluster: Cluster) -> None:
    before, live = cluster.revisions(), cluster.status()["live"]
    with cluster.traffic("interrupt") as summary:
        # By then it waits for pods that are never ready.
        done = cluster.deploy("never-ready", seconds=60)
    assert done.returncode == 1
    assert f"interrupted by SIGINT\nUndone: web returned to {live}." in done.stderr
    assert summary["failures"] == 0
    assert (cluster.revisions(), cluster.status()["live"]) == (before, live)


def test_a_migration_that_fails_stops_the_deploy(cluster: Cluster) -> None:
    pods = set(cluster.pods())
    with cluster.traffic("migration") as summary:
        done = cluster.deploy("migration-fails")
    assert done.returncode == 1
    assert "the migrations failed (exit status 1)" in done.stderr
    assert 'relation "no_such_table" does not exist' in done.stderr
    assert "No pod was changed" in done.stderr
    assert summary["failures"] == 0
    assert set(cluster.pods()) == pods


def test_a_release_that_answers_500_is_not_noticed(cluster: Cluster) -> None:
    with cluster.traffic("answers-500") as summary:
        assert cluster.deploy("answers-500").returncode == 0
    assert cluster.status()["state"] == "healthy"
    assert summary["failures"] > 0
    assert cluster.slipway("rollback", "node").returncode == 0


def test_a_pod_out_of_memory_is_the_only_one_that_fails(cluster: Cluster) -> None:
    """Of a pod with one worker the kernel kills that; gunicorn starts another."""
    live = cluster.status()["live"]
    assert cluster.deploy("leaks").returncode == 0
    within(60, lambda: len(cluster.revisions()) == 1)
    assert kills(cluster) == 0
    with cluster.traffic("memory") as summary:
        cluster.ask("/leak", body={})
        within(60, lambda: kills(cluster) > 0)
        within(60, lambda: len(cluster.pods()) == 2)
    assert summary["failures"] < RATE
    assert cluster.slipway("rollback", "node").returncode == 0
    assert cluster.status()["live"] == live


def kills(cluster: Cluster) -> int:
    """Return how many processes of the web pods the kernel killed for want of memory."""
    script = "cat /sys/fs/cgroup/memory/memory.oom_control 2>/dev/null || cat /sys/fs/cgroup/memory.events"
    shown = [cluster.kubectl("exec", name, "--", "sh", "-c", script) for name in cluster.pods()]
    return sum(int(count) for text in shown for count in re.findall(r"^oom_kill (\d+)$", text, re.MULTILINE))


def test_a_rollback_fails_no_request(cluster: Cluster) -> None:
    second = cluster.status()["live"]
    assert cluster.deploy("first").returncode == 0
    (before,) = cluster.revisions()
    with cluster.traffic("rollback") as summary:
        assert cluster.slipway("rollback", "node").returncode == 0
        within(60, lambda: before not in cluster.revisions())
    assert summary["failures"] == 0
    status = cluster.status()
    assert (status["live"], status["image_name"]) == (second, cluster.digests["second"])
    for name in ("worker", "beat"):
        image = cluster.get(f"deployment/{name}")["spec"]["template"]["spec"]["containers"][0]["image"]
        assert image == cluster.digests["second"]


def test_an_image_that_cannot_be_pulled_is_not_waited_for(cluster: Cluster) -> None:
    pods = set(cluster.pods())
    cluster.project()
    done = cluster.slipway("deploy", "node", "--image", f"registry.example.com/app@sha256:{'0' * 64}")
    assert done.returncode == 1
    assert "the migrations did not start (" in done.stderr
    assert "No pod was changed" in done.stderr
    assert set(cluster.pods()) == pods


def test_more_and_fewer_pods_fail_no_request(cluster: Cluster) -> None:
    with cluster.traffic("scale") as summary:
        scale(cluster, minimum=6, maximum=6)
        within(180, lambda: len(cluster.pods()) == 6)
        scale(cluster, minimum=2, maximum=2)
        within(120, lambda: len(cluster.pods()) == 2)
        time.sleep(15)  # until the last pod has drained
    scale(cluster, minimum=2, maximum=6)
    assert summary["failures"] == 0


def scale(cluster: Cluster, minimum: int, maximum: int) -> None:
    """Let the HorizontalPodAutoscaler act without metrics, which this node does not have."""
    patch = f'{{"spec": {{"minReplicas": {minimum}, "maxReplicas": {maximum}}}}}'
    cluster.kubectl("patch", "hpa/web", "--patch", patch)


def test_a_pod_that_is_deleted_fails_no_request(cluster: Cluster) -> None:
    gone = next(iter(cluster.pods()))
    with cluster.traffic("delete") as summary:
        cluster.kubectl("delete", "pod", gone)
        within(60, lambda: len(cluster.pods()) == 2)
    assert summary["failures"] == 0


def test_a_pod_that_is_killed_fails_less_than_a_second_of_requests(cluster: Cluster) -> None:
    name, pod = next(iter(cluster.pods().items()))
    with cluster.traffic("kill") as summary:
        assert cluster.node.run("kill", "-KILL", first_process(cluster, pod)).returncode == 0
        within(60, lambda: cluster.get("pod", name)["status"]["containerStatuses"][0]["restartCount"] == 1)
        within(60, lambda: len(cluster.pods()) == 2)
    # Those that it was serving, a second's 15 slow ones above all, and those that come until the kubelet notices.
    assert summary["failures"] < RATE


def first_process(cluster: Cluster, pod: dict[str, Any]) -> str:
    """Return the number, on the node, of the process whose end is that of all others of the pod's container."""
    identifier = pod["status"]["containerStatuses"][0]["containerID"].rpartition("/")[2]
    tasks = [line.split() for line in cluster.node.run("ctr", "tasks", "list").stdout.splitlines()]
    return next(number for name, number, *_ in tasks if name == identifier)


def test_a_drain_takes_one_pod_and_waits_for_its_replacement(cluster: Cluster) -> None:
    with cluster.traffic("drain") as summary:
        done = cluster.node.run(
            "kubectl",
            "drain",
            "node",
            "--pod-selector=app.kubernetes.io/component=web",
            "--delete-emptydir-data",
            "--timeout=40s",
        )
        cluster.kubectl("uncordon", "node")
        within(90, lambda: len(cluster.pods()) == 2)
    # There is no other node, so the first replacement is never ready and the second pod stays.
    assert done.returncode == 1
    assert "Cannot evict pod as it would violate the pod's disruption budget" in done.stderr
    assert summary["failures"] == 0


@pytest.mark.parametrize("overlay", ["one-node", "production"])
def test_the_api_accepts_the_manifests(cluster: Cluster, overlay: str) -> None:
    cluster.kubectl("apply", "--server-side", "-f", str(gateway_api()))
    within(30, lambda: cluster.condition("crd/httproutes.gateway.networking.k8s.io", "Established"))
    cluster.kubectl("delete", "job", "migrate", "--ignore-not-found")
    built = cluster.kubectl("kustomize", f"kubernetes/overlays/{overlay}")
    ingress = (ROOT / "kubernetes/components/ingress/ingress.yaml").read_text()
    text = f"{built}\n---\n{ingress}"
    shown = cluster.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", "-", text=text)
    assert ("httproute" in shown) == (overlay == "production")
    assert "Warning" not in shown


def gateway_api() -> Path:
    """Download the Gateway API and return the file with the definition of an HTTPRoute."""
    command = [str(GO), "mod", "download", "-json", f"sigs.k8s.io/gateway-api@{GATEWAY_API}"]
    module = json.loads(subprocess.run(command, cwd="/", capture_output=True, text=True, check=True).stdout)
    assert module["Sum"] == GATEWAY_API_SUM
    return Path(module["Dir"], "config/crd/standard/gateway.networking.k8s.io_httproutes.yaml")
