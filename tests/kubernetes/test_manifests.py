"""kubernetes/ without a cluster: schemas, what belongs together, and that no pod may more than it must."""

import re
import subprocess
from functools import cache
from typing import Any

import kubernetes_validate
import pytest
import yaml

from slipway.units.layout import STOP_MARGIN
from slipway.units.site import Site
from tools.checkout import ROOT

pytestmark = pytest.mark.slow  # builds Kustomize, once

OVERLAYS = ("one-node", "production")
VERSION = "1.34"
POSTGRES_CONNECTIONS = 97
"""Of PostgreSQL's 100, without those that are reserved."""
OTHER_CONNECTIONS = 3
"""The worker's, as many as it may run tasks, and the migration's."""

Objects = dict[tuple[str, str], dict[str, Any]]


@cache
def build(overlay: str) -> Objects:
    """Build an overlay: its objects by kind and name."""
    subprocess.run([ROOT / "tools/go-tool", "kustomize"], check=True)
    command = [str(ROOT / ".cache/bin/kustomize"), "build", str(ROOT / "kubernetes/overlays" / overlay)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return {(one["kind"], one["metadata"]["name"]): one for one in yaml.safe_load_all(text)}


def pods(objects: Objects) -> dict[str, dict[str, Any]]:
    """Return the pod templates' specifications by the name of their Deployment or Job."""
    return {
        name: one["spec"]["template"]["spec"] for (kind, name), one in objects.items() if kind in {"Deployment", "Job"}
    }


def env(pod: dict[str, Any]) -> dict[str, str]:
    return {one["name"]: one.get("value", "") for one in pod["containers"][0]["env"]}


@pytest.fixture(params=OVERLAYS)
def objects(request: pytest.FixtureRequest) -> Objects:
    return build(request.param)


def test_the_objects_are_of_the_schema(objects: Objects) -> None:
    namespace = yaml.safe_load((ROOT / "kubernetes/namespace.yaml").read_text())
    ingress = yaml.safe_load((ROOT / "kubernetes/components/ingress/ingress.yaml").read_text())
    for one in [*objects.values(), namespace, ingress]:
        if one["kind"] != "HTTPRoute":  # an extension of the API
            kubernetes_validate.validate(one, VERSION, strict=True)


def test_the_deployer_reads_no_secret_and_has_no_right_over_rights() -> None:
    objects = list(yaml.safe_load_all((ROOT / "kubernetes/deployer.yaml").read_text()))
    for one in objects:
        kubernetes_validate.validate(one, VERSION, strict=True)
    # Of one namespace: no ClusterRole.
    assert [one["kind"] for one in objects] == ["ServiceAccount", "Role", "RoleBinding"]
    assert {one["metadata"]["namespace"] for one in objects} == {"app"}
    granted = {resource for rule in objects[1]["rules"] for resource in rule["resources"]}
    assert not granted & {"*", "secrets", "roles", "rolebindings", "serviceaccounts", "pods/exec"}
    assert "*" not in {verb for rule in objects[1]["rules"] for verb in rule["verbs"]}


def test_the_deployer_may_apply_every_kind_of_the_overlays(objects: Objects) -> None:
    role = list(yaml.safe_load_all((ROOT / "kubernetes/deployer.yaml").read_text()))[1]
    for (kind, _), one in objects.items():
        group, _, _ = one["apiVersion"].rpartition("/")
        plural = kind.lower()[:-1] + "ies" if kind.endswith("y") else f"{kind.lower()}s"
        needed = {"get", "create", "patch"}
        assert any(
            group in rule["apiGroups"] and plural in rule["resources"] and needed <= set(rule["verbs"])
            for rule in role["rules"]
        ), kind


def test_a_field_that_does_not_exist_is_noticed() -> None:
    deployment = yaml.safe_load(yaml.safe_dump(build("one-node")["Deployment", "web"]))
    deployment["spec"]["template"]["spec"]["readOnly"] = True
    with pytest.raises(kubernetes_validate.ValidationError, match="readOnly"):
        kubernetes_validate.validate(deployment, VERSION, strict=True)


def test_every_object_is_of_one_namespace_and_names_its_component(objects: Objects) -> None:
    assert {one["metadata"]["namespace"] for one in objects.values()} == {"app"}
    labels = {one["metadata"]["labels"]["app.kubernetes.io/component"] for one in objects.values()}
    assert labels == {"web", "worker", "beat", "migrate"}


def test_a_forgotten_digest_cannot_be_pulled(objects: Objects) -> None:
    assert {pod["containers"][0]["image"] for pod in pods(objects).values()} == {
        f"registry.example.com/app@sha256:{'0' * 64}"
    }


def test_no_pod_may_more_than_it_must(objects: Objects) -> None:
    assert set(pods(objects)) == {"web", "worker", "beat", "migrate"}
    for pod in pods(objects).values():
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        (container,) = pod["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert set(container["resources"]) == {"requests", "limits"}
        assert {"cpu", "memory"} == set(container["resources"]["limits"]) == set(container["resources"]["requests"])


def test_secrets_are_files_and_only_the_migration_has_the_owners(objects: Objects) -> None:
    for name, pod in pods(objects).items():
        secrets = {volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume}
        assert secrets == {"app-owner" if name == "migrate" else "app"}
        mounts = {mount["name"]: mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
        assert mounts["secrets"] == env(pod)["CREDENTIALS_DIRECTORY"]
        assert "envFrom" not in pod["containers"][0]
        assert "secretKeyRef" not in str(pod)


def test_all_timeouts_follow_from_the_one_of_a_request(objects: Objects) -> None:
    web = pods(objects)["web"]
    timeouts = set(re.findall(r"timeout (\d+)", env(web)["GUNICORN_CMD_ARGS"]))
    (timeout,) = map(int, timeouts)
    assert timeout == Site.__dataclass_fields__["request_timeout"].default
    stop = web["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert web["terminationGracePeriodSeconds"] == stop + timeout + STOP_MARGIN
    for (kind, _), one in objects.items():
        if kind == "HTTPRoute":
            assert [rule["timeouts"] for rule in one["spec"]["rules"]] == [{"request": f"{timeout}s"}]


def test_probes_ask_what_they_are_for(objects: Objects) -> None:
    container = pods(objects)["web"]["containers"][0]
    paths = {name: container[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "readiness", "liveness")}
    assert paths == {"startup": "/livez", "readiness": "/readyz", "liveness": "/livez"}


def test_the_app_is_told_of_all_replicas_and_postgres_has_room_for_them(objects: Objects) -> None:
    most = objects["HorizontalPodAutoscaler", "web"]["spec"]["maxReplicas"]
    web = objects["Deployment", "web"]["spec"]
    assert "replicas" not in web
    assert web["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    for pod in pods(objects).values():
        assert int(env(pod)["REPLICAS"]) == most
    connections = int(env(pods(objects)["web"])["DATABASE_CONNECTIONS"])
    assert 2 * most * connections + OTHER_CONNECTIONS <= POSTGRES_CONNECTIONS


def test_worker_and_beat_are_one_at_a_time_and_run_the_procfiles_lines(objects: Objects) -> None:
    procfile = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines())
    for name in ("worker", "beat"):
        spec = objects["Deployment", name]["spec"]
        assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
        assert "exec " + " ".join(pods(objects)[name]["containers"][0]["command"]) == procfile[name]
    assert " ".join(pods(objects)["migrate"]["containers"][0]["command"]) == procfile["release"]
    assert "command" not in pods(objects)["web"]["containers"][0]


def test_a_migration_that_fails_is_not_repeated(objects: Objects) -> None:
    job = objects["Job", "migrate"]["spec"]
    assert (job["backoffLimit"], job["template"]["spec"]["restartPolicy"]) == (0, "Never")


def test_nothing_may_connect_but_labelled_namespaces_and_only_to_web(objects: Objects) -> None:
    policies = {name: one["spec"] for (kind, name), one in objects.items() if kind == "NetworkPolicy"}
    for one in pods(objects):
        labels = {"app.kubernetes.io/name": "app", "app.kubernetes.io/component": one}
        assert policies["app"]["podSelector"]["matchLabels"].items() <= labels.items()
    assert "ingress" not in policies["app"]
    assert policies["web"]["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "web"
    assert [list(source) for rule in policies["web"]["ingress"] for source in rule["from"]] == [["namespaceSelector"]]
