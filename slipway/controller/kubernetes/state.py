"""What runs in a namespace: each Deployment of the app, and the revisions of it that the cluster keeps."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from slipway.controller.kubernetes.kubectl import Kubectl
from slipway.controller.kubernetes.overlay import CONTAINER, NAME, VERSION, WEB, Object

OURS = f"{NAME}={CONTAINER}"
HISTORY = "slipway/releases"
"""The annotation of the Deployment `web`: the releases that were live, the newest first. Each of them was ready."""
REVISION = "deployment.kubernetes.io/revision"
HASH = "pod-template-hash"
KEPT = 10


@dataclass(frozen=True)
class Revision:
    """A ReplicaSet: what a Deployment was at some time."""

    deployment: str
    number: int
    release: str
    image: str
    created: str


@dataclass(frozen=True)
class State:
    """The Deployments by name, and their revisions, the newest first."""

    deployments: dict[str, Object]
    revisions: list[Revision]

    @classmethod
    def read(cls, kubectl: Kubectl) -> "State":
        """Read it from the cluster.

        Raises:
            KubectlError: it cannot be read.
        """
        deployments = {each["metadata"]["name"]: each for each in kubectl.items("deployments", OURS)}
        found = [_revision(each) for each in kubectl.items("replicasets", OURS)]
        return cls(deployments, sorted(filter(None, found), key=lambda each: each.number, reverse=True))

    @property
    def history(self) -> list[str]:
        """The releases that were live, the newest first; of a namespace deployed by hand, what `web` is now."""
        recorded = str(_annotations(self.deployments.get(WEB, {})).get(HISTORY, "")).split()
        return recorded or list(filter(None, [self.current(WEB)]))

    @property
    def live(self) -> str:
        """The last release that was deployed to its end; empty if there is none."""
        return next(iter(self.history), "")

    def history_with(self, release: str) -> list[str]:
        """Return the history once a release is deployed."""
        return [release, *(each for each in self.history if each != release)]

    def history_back_at(self, release: str) -> list[str]:
        """Return the history once a release is returned to: from there the way back leads to what was before it."""
        return self.history[self.history.index(release) :] if release in self.history else [release, *self.history]

    @property
    def rollback_target(self) -> str:
        """Where a rollback goes: back to the live release if a deploy was interrupted, else to the one before it."""
        if self.strays:
            return self.live
        return next((release for release in self.history[1:] if self.revision(WEB, release)), "")

    @property
    def strays(self) -> list[str]:
        """The Deployments that are another release than the live one."""
        return [name for name in self.deployments if self.revision(name, self.live) and self.current(name) != self.live]

    def of(self, deployment: str) -> list[Revision]:
        """Return a Deployment's revisions, the newest first."""
        return [each for each in self.revisions if each.deployment == deployment]

    def current(self, deployment: str) -> str:
        """Return the release that a Deployment is of; empty if it does not exist."""
        number = self.number(deployment)
        return next((each.release for each in self.of(deployment) if each.number == number), "")

    def number(self, deployment: str) -> int:
        """Return the number of a Deployment's revision; 0 if it does not exist."""
        return int(_annotations(self.deployments.get(deployment, {})).get(REVISION, 0))

    def revision(self, deployment: str, release: str) -> int:
        """Return the number of the revision that a Deployment had in a release; 0 if none is kept."""
        return next((each.number for each in self.of(deployment) if each.release == release), 0)

    def before(self, names: Sequence[str]) -> dict[str, int]:
        """Return the revision that each Deployment returns to if a change fails; 0: it did not exist."""
        return {name: self.revision(name, self.live) or self.number(name) for name in names}


def _annotations(found: Object) -> dict[str, Any]:
    return found.get("metadata", {}).get("annotations") or {}


def _revision(found: Object) -> Revision | None:
    metadata = found["metadata"]
    owner = next((each["name"] for each in metadata.get("ownerReferences", []) if each["kind"] == "Deployment"), "")
    number = _annotations(found).get(REVISION)
    if not owner or number is None:
        return None
    labels = found["spec"]["template"]["metadata"]["labels"]
    containers = found["spec"]["template"]["spec"]["containers"]
    image = next((each["image"] for each in containers if each["name"] == CONTAINER), "")
    release = labels.get(VERSION) or labels.get(HASH, "")
    return Revision(owner, int(number), release, image, metadata["creationTimestamp"])
