"""What cannot work is refused before anything is touched: the value, the rule, and what to type."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.kubectl.conftest import HOSTS, OBJECTS, Shop, image, manifest

DEPLOY = ["deploy", "production", "--image", image(1)]


def refused(shop: Shop, *words: str) -> str:
    """Run the tool, which refuses. Returns what it printed."""
    status, printed = shop.slipway(*words)
    assert status in {1, 2}
    assert shop.changes() == []
    return " ".join(printed.split())


@pytest.mark.parametrize(
    ("named", "rule"),
    [
        (
            "",
            "No image. A cluster pulls from a registry, by digest: slipway deploy ENVIRONMENT --image NAME@sha256:...",
        ),
        ("registry.example.com/shop:latest", "'registry.example.com/shop:latest' is not an image by digest"),
        ("sha256:" + "1" * 64, "is not an image by digest: a tag can be moved, and an id is in no registry"),
        ("registry.example.com/shop@sha256:12", "is not an image by digest"),
        ("slipway/shop@sha256:" + "1" * 64, "names no registry, as ghcr.io/acme/shop does"),
    ],
)
def test_an_image_that_no_cluster_can_pull(shop: Shop, named: str, rule: str) -> None:
    printed = refused(shop, "deploy", "production", *(["--image", named] if named else []))
    assert rule in printed
    assert not named or "docker image inspect" in printed


@pytest.mark.parametrize(
    ("variables", "rule"),
    [
        (HOSTS | {"engine": "podman"}, "engine is podman in"),
        (HOSTS | {"kubernetes_context": ""}, "kubernetes_context is not set in"),
        (HOSTS | {"kubernetes_namespace": None}, "kubernetes_namespace is not set in"),
        (HOSTS | {"kubernetes_namespace": "My_Shop"}, "kubernetes_namespace is My_Shop in"),
    ],
)
@pytest.mark.parametrize(
    "words", [DEPLOY, ["rollback", "production"], ["status", "production"], ["logs", "production"]]
)
def test_an_inventory_that_names_no_namespace(
    shop: Shop, variables: dict[str, Any], rule: str, words: list[str]
) -> None:
    shop.hosts(**variables)
    assert rule in refused(shop, *words)


def test_kubectl_that_is_missing(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = tmp_path / "without"
    programs.mkdir()
    for name in ("git", "sh"):
        (programs / name).symlink_to(str(shutil.which(name)))
    monkeypatch.setenv("PATH", str(programs))
    printed = refused(shop, *DEPLOY)
    assert (
        "Not installed on this machine: kubectl (reaches the cluster: https://kubernetes.io/docs/tasks/tools)"
        in printed
    )


def test_an_overlay_that_is_missing(shop: Shop) -> None:
    shutil.rmtree(shop.root / "deploy/production/kubernetes")
    assert "deploy/production/kubernetes/kustomization.yaml does not exist. Write an overlay there" in refused(
        shop, *DEPLOY
    )


def test_an_overlay_that_cannot_be_built(shop: Shop) -> None:
    shop.set(fails={"kustomize .*": "Error: invalid Kustomization"})
    assert "cannot be built. Correct it: kubectl kustomize" in refused(shop, *DEPLOY)


def test_an_overlay_without_a_web_server(shop: Shop) -> None:
    shop.overlay(manifest("Deployment", "worker"))
    assert "has no Deployment `web` with a container `app`" in refused(shop, *DEPLOY)


def test_a_deployment_whose_pods_a_deploy_would_not_find(shop: Shop) -> None:
    shop.overlay(*OBJECTS, {**manifest("Deployment", "other"), "metadata": {"name": "other"}})
    printed = refused(shop, *DEPLOY)
    assert "The Deployment other of" in printed
    assert "has not the labels app.kubernetes.io/name=app and app.kubernetes.io/component" in printed


@pytest.mark.parametrize(
    "words", [DEPLOY, ["rollback", "production"], ["status", "production"], ["logs", "production"]]
)
@pytest.mark.parametrize(
    ("error", "rule"),
    [
        (
            'Error from server (NotFound): namespaces "shop" not found',
            "kubernetes_namespace is shop, and the cluster of the context production has no such namespace",
        ),
        (
            'Error from server (Forbidden): namespaces "shop" is forbidden: User "x" cannot get resource',
            "An administrator of the cluster grants it: kubernetes/deployer.yaml",
        ),
        (
            "error: You must be logged in to the server (Unauthorized)",
            "the cluster of the context production does not accept this login",
        ),
        (
            "Unable to connect to the server: dial tcp 10.0.0.1:6443: i/o timeout",
            "cannot be reached: Unable to connect to the server: dial tcp 10.0.0.1:6443: i/o timeout",
        ),
    ],
)
def test_a_cluster_that_refuses(shop: Shop, error: str, rule: str, words: list[str]) -> None:
    shop.set(fails={"get namespace .*": error})
    assert rule in refused(shop, *words)


def test_a_context_that_kubectl_does_not_know(shop: Shop) -> None:
    shop.hosts(**HOSTS | {"kubernetes_context": "staging"})
    printed = refused(shop, *DEPLOY)
    assert "kubernetes_context is staging, and kubectl knows no context of that name. There is: production." in printed


@pytest.mark.parametrize(
    ("command", "error", "rule"),
    [
        ("auth can-i delete jobs.batch", "no", "this login may not do what a deploy does in the namespace shop"),
        (
            "apply --dry-run=server .*",
            'Error from server (Forbidden): deployments.apps "web" is forbidden: User "x" cannot patch resource',
            "An administrator of the cluster grants it: kubernetes/deployer.yaml",
        ),
        (
            "apply --dry-run=server .*",
            'error: resource mapping not found: no matches for kind "HTTPRoute"',
            "the cluster refuses",
        ),
    ],
)
def test_a_login_that_may_not_deploy_and_objects_that_the_api_refuses(
    shop: Shop, command: str, error: str, rule: str
) -> None:
    shop.set(fails={command: error})
    assert rule in refused(shop, *DEPLOY)


def test_what_follows_the_dashes_is_ansibles(shop: Shop) -> None:
    printed = refused(shop, "deploy", "production", "--", "-e", f"release_image={image(1)}")
    assert "what follows -- goes to Ansible. Name an image by --image" in printed


def test_a_host_of_logs(shop: Shop) -> None:
    assert "has no hosts. Leave --host out" in refused(shop, "logs", "production", "--host", "www1")


def test_two_namespaces_in_one_environment(shop: Shop) -> None:
    text = (shop.root / "deploy/production/hosts.yml").read_text().replace("cluster:", "one: &one")
    (shop.root / "deploy/production/hosts.yml").write_text(text + "    two: *one\n")
    assert "production has 2 hosts in the group app" in refused(shop, *DEPLOY)
