"""Verbs of hosts that mean nothing in a cluster, each with what does the same there."""

from slipway.controller.kubernetes import environment as environments
from slipway.controller.kubernetes.environment import NAMESPACE, PAGE
from slipway.controller.project import Project
from slipway.model.errors import UsageError

INSTEAD = {
    "provision": f"a namespace and its Secrets are made once, by kubectl ({PAGE}). Type: slipway deploy {{name}}",
    "restore": "the database is not Slipway's there. Restore it where it runs",
    "maintenance": "the Ingress or Gateway in front answers. Point its route at a page of yours",
    "scale": "the HorizontalPodAutoscaler scales. Set its minReplicas in {overlay}, then type: slipway deploy {name}",
    "report": "the log of requests is the gateway's. What runs: slipway status {name}",
    "run": "type: {kubectl} exec deployment/web -- COMMAND",
    "shell": "type: {kubectl} exec -it deployment/web -- sh",
    "doctor": "type: slipway status {name}",
    "github": f"GitHub needs no keys of hosts. Set the secret SLIPWAY_KUBECONFIG ({PAGE})",
}


def refuse(project: Project, name: str, verb: str) -> None:
    """Accept an environment of hosts.

    Raises:
        UsageError: it is a namespace of a cluster.
        SlipwayError: its inventory cannot be read.
    """
    found = environments.read(project, name)
    if found:
        kubectl = f"kubectl --context={found.context} --namespace={found.namespace}"
        instead = INSTEAD[verb].format(name=name, overlay=found.overlay, kubectl=kubectl)
        raise UsageError(f"slipway {verb} is for hosts, and {name} is Kubernetes ({NAMESPACE}): {instead}")
