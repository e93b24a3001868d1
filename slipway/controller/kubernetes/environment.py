"""Which environments are namespaces of a Kubernetes cluster, and what their inventory says of it."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slipway.controller import inventory
from slipway.controller.project import LOCAL, Project
from slipway.model.errors import UsageError

ENGINE, KUBERNETES = "engine", "kubernetes"
CONTEXT, NAMESPACE, IMAGE = "kubernetes_context", "kubernetes_namespace", "release_image"
OVERLAY = "kubernetes"
"""The overlay's folder, beside hosts.yml."""
PAGE = "docs/how-to/deploy-to-kubernetes.md"

NAMES_ENGINE = re.compile(rf"\b{ENGINE}[\"']?\s*:")
LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
"""The name of a namespace, as RFC 1123 has it."""


@dataclass(frozen=True)
class Environment:
    """An environment that is a namespace of a cluster."""

    name: str
    context: str
    """Of kubectl's configuration: the cluster, and the login there."""
    namespace: str
    overlay: Path
    image: str = ""
    """The image of `release_image`, deployed where the command names none."""
    ready_path: str = "/readyz"
    version_path: str = "/version"
    """`app_ready_path` and `app_version_path`: CI asks both through the public URL."""


def read(project: Project, name: str) -> Environment | None:
    """Return an environment of the engine `kubernetes`; None if it is one of hosts.

    Raises:
        ProjectError: there is no such environment.
        InventoryError: its inventory cannot be read.
        UsageError: a variable of it is missing, or has a value that it cannot have.
    """
    if name == LOCAL:
        return None
    folder = project.environment(name)
    # Ansible takes a second to read an inventory: most have no such word.
    if not any(NAMES_ENGINE.search(_text(file)) for file in inventory.files(folder)):
        return None
    hosts = inventory.read([folder / "hosts.yml"])
    engines = {str(values.get(ENGINE, "")) for values in hosts.values()}
    if engines <= {""}:
        return None
    where = f"{folder}/hosts.yml and group_vars"
    if engines != {KUBERNETES}:
        found = ", ".join(sorted(engine or "none" for engine in engines))
        raise UsageError(f"{ENGINE} is {found} in {where}. Set it to {KUBERNETES}, or remove it: hosts need none")
    if len(hosts) != 1:
        raise UsageError(f"{name} has {len(hosts)} hosts in the group app. Leave one name there: it is one namespace")
    return _checked(name, folder, next(iter(hosts.values())), where)


def _checked(name: str, folder: Path, values: dict[str, Any], where: str) -> Environment:
    context, namespace = str(values.get(CONTEXT) or ""), str(values.get(NAMESPACE) or "")
    if not context:
        raise UsageError(f"{CONTEXT} is not set in {where}. Name the cluster: kubectl config get-contexts")
    if not LABEL.fullmatch(namespace):
        raise UsageError(
            f"{NAMESPACE} is {namespace or 'not set'} in {where}. Name the app's namespace there, in lower-case "
            "letters, digits and hyphens: kubectl get namespaces"
        )
    paths = {field: str(values[f"app_{field}"]) for field in ("ready_path", "version_path") if f"app_{field}" in values}
    return Environment(name, context, namespace, folder / OVERLAY, str(values.get(IMAGE) or ""), **paths)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:  # told where the inventory is read
        return ""
