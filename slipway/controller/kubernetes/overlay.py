"""What is applied: the environment's overlay, with the image by its digest and the release's name on every pod."""

import hashlib
import json
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from slipway.controller.kubernetes.environment import PAGE, Environment
from slipway.controller.kubernetes.kubectl import Kubectl, KubectlError
from slipway.model.errors import UsageError

BY_DIGEST = re.compile(r"(?P<name>[a-z0-9][a-z0-9.-]*(:[0-9]+)?(/[a-z0-9._-]+)+)@(?P<digest>sha256:[0-9a-f]{64})")
NAME = "app.kubernetes.io/name"
COMPONENT = "app.kubernetes.io/component"
VERSION = "app.kubernetes.io/version"
"""The label that has the release's name, on Deployments and on their pods."""
WEB, MIGRATE, CONTAINER = "web", "migrate", "app"

Object = dict[str, Any]


@dataclass(frozen=True)
class Rendered:
    """An overlay that can be applied."""

    folder: Path
    release: str
    objects: list[Object]

    def names(self, kind: str) -> list[str]:
        """Return the names of its objects of a kind."""
        return [each["metadata"]["name"] for each in self.objects if each["kind"] == kind]

    @property
    def processes(self) -> list[str]:
        """The Deployments besides `web`."""
        return [name for name in self.names("Deployment") if name != WEB]


def check_image(image: str) -> tuple[str, str]:
    """Return the name and the digest of an image.

    Raises:
        UsageError: it is not an image of a registry, named by digest.
    """
    how = "Push it, then name what `docker image inspect --format '{{index .RepoDigests 0}}' IMAGE` prints"
    if not image:
        raise UsageError(
            "No image. A cluster pulls from a registry, by digest: slipway deploy ENVIRONMENT --image NAME@sha256:..."
        )
    found = BY_DIGEST.fullmatch(image)
    if not found:
        raise UsageError(f"{image!r} is not an image by digest: a tag can be moved, and an id is in no registry. {how}")
    first = found["name"].partition("/")[0]
    if "." not in first and ":" not in first and first != "localhost":
        raise UsageError(f"{image!r} names no registry, as ghcr.io/acme/shop does. {how}")
    return found["name"], found["digest"]


@contextmanager
def rendered(kubectl: Kubectl, environment: Environment, image: str) -> Iterator[Rendered]:
    """Write an overlay of the environment's own with the image and the release's name, and yield it.

    Raises:
        UsageError: there is no overlay, the image is not by digest, or a web server is not among the objects.
    """
    name, digest = check_image(image)
    if not (environment.overlay / "kustomization.yaml").is_file():
        raise UsageError(
            f"{environment.overlay}/kustomization.yaml does not exist. Write an overlay there that names Slipway's "
            f"base ({PAGE}), then repeat this"
        )
    built = _build(kubectl, environment.overlay)
    source = _image(_objects(built), environment)
    with tempfile.TemporaryDirectory(prefix="slipway-") as temporary:
        folder = Path(temporary)
        # Built once: a base by URL is not fetched again.
        (folder / "objects.yaml").write_text(built)
        document: Object = {
            "resources": ["objects.yaml"],
            "namespace": environment.namespace,
            "images": [{"name": source, "newName": name, "digest": digest}],
        }
        _write(folder / "kustomization.yaml", document)
        release = _release(_objects(_build(kubectl, folder)))
        labels = {"labels": [{"pairs": {VERSION: release}, "includeTemplates": True}]}
        _write(folder / "kustomization.yaml", document | labels)
        yield Rendered(folder, release, _objects(_build(kubectl, folder)))


def _write(file: Path, document: Object) -> None:
    # JSON is YAML.
    file.write_text(json.dumps(document))


def _build(kubectl: Kubectl, folder: Path) -> str:
    try:
        return kubectl.run("kustomize", str(folder))
    except KubectlError as error:
        raise UsageError(f"{folder} cannot be built. Correct it: kubectl kustomize {folder}\n{error}") from None


def _objects(built: str) -> list[Object]:
    return [each for each in yaml.safe_load_all(built) if each]


def _image(objects: list[Object], environment: Environment) -> str:
    """Return the image that stands in the manifests, without a tag: kustomize finds it by that name."""
    for each in objects:
        labels = each["metadata"].get("labels", {})
        if each["kind"] == "Deployment" and not (labels.get(NAME) == CONTAINER and labels.get(COMPONENT)):
            raise UsageError(
                f"The Deployment {each['metadata']['name']} of {environment.overlay} has not the labels "
                f"{NAME}={CONTAINER} and {COMPONENT}. Give it both: a deploy finds its pods by them"
            )
    for each in objects:
        if (each["kind"], each["metadata"]["name"]) == ("Deployment", WEB):
            for container in each["spec"]["template"]["spec"]["containers"]:
                if container["name"] == CONTAINER:
                    return re.sub(r"(:[^/:@]+)?(@.*)?$", "", str(container["image"]))
    raise UsageError(
        f"{environment.overlay} has no Deployment `{WEB}` with a container `{CONTAINER}`. Name Slipway's base among "
        f"its resources ({PAGE})"
    )


def _release(objects: list[Object]) -> str:
    """Return a release's name: the same objects have the same one."""
    return hashlib.sha256(json.dumps(objects, sort_keys=True, default=str).encode()).hexdigest()[:10]
