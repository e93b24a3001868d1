"""Why pods of a release do not run, in the words of a host: how they ended, the setting to change, their last lines."""

from collections.abc import Sequence
from typing import Any

from slipway.controller.kubernetes.kubectl import Kubectl
from slipway.controller.kubernetes.overlay import COMPONENT, CONTAINER, MIGRATE, VERSION, WEB, Object
from slipway.engine.causes import MAX_LINES, error_lines, hint, written
from slipway.engine.crashes import ending

LINES = 30
OUT_OF_MEMORY = "OOMKilled"
"""The kubelet's reason for the end of a container that the kernel killed."""
REMOVED = "unable to retrieve container logs for "
"""What the kubelet answers, with success, for a container that it has removed meanwhile."""
SIGNAL = 128
"""Added to a signal's number where a signal ended a container."""


def selector(component: str, release: str) -> str:
    """Return what selects a release's pods of a component."""
    return f"{COMPONENT}={component},{VERSION}={release}"


def explain(kubectl: Kubectl, component: str, release: str, error: str) -> str:
    """Return the cause in words. `error`: what kubectl printed, which tells why it waits no longer.

    Raises:
        KubectlError: the cluster does not answer.
    """
    pods = [each for each in kubectl.items("pods", selector(component, release)) if not _is_ready(each)]
    if not pods:
        return f"{_subject(component)} did not start: {error}"
    pods.sort(key=lambda each: (bool(ended(each)), restarts(each)), reverse=True)
    pod, last = pods[0], ended(pods[0])
    name, lines = _last_lines(kubectl, [each["metadata"]["name"] for each in pods])
    what, advice = f"{_subject(component)} {_words(component, pod, last, error)}", hint(lines)
    if last.get("reason") == OUT_OF_MEMORY:
        limit = memory_limit(pod["spec"])
        what += f": out of memory (resources.limits.memory of {component}: {limit})"
        advice = memory_advice(limit)
    what = "\n".join([what, *(f"Event: {event}" for event in events(kubectl, pod["metadata"]["name"]))])
    return written(what, advice, f"pod/{name}", error_lines(lines, LINES))


def ended(pod: Object) -> Object:
    """Return how the app's container ended last; {} if it never did."""
    container = _container(pod)
    now: Object = container.get("state", {}).get("terminated") or {}
    return now or container.get("lastState", {}).get("terminated") or {}


def how_ended(last: Object) -> str:
    """Return how a container ended, in words: `exit status 3`, `SIGKILL`; empty if it ended well."""
    status = int(last.get("exitCode", 0))
    return ending(status - SIGNAL, is_signal=True) if status > SIGNAL else ending(status, is_signal=False)


def restarts(pod: Object) -> int:
    """Return how often the app's container was restarted."""
    return int(_container(pod).get("restartCount", 0))


def memory_limit(pod_spec: Object) -> str:
    """Return the memory that the app's container may have, as the manifest writes it."""
    container: Object = next((each for each in pod_spec["containers"] if each.get("name") == CONTAINER), {})
    return str(container.get("resources", {}).get("limits", {}).get("memory", "unlimited"))


def memory_advice(limit: str) -> str:
    """Return what to do for a pod that had too little memory."""
    return (
        f"all processes of a pod together may have {limit} (`resources.limits.memory`): raise it in the overlay, "
        "start fewer workers (`WEB_CONCURRENCY`), or look for what the app keeps"
    )


def _subject(component: str) -> str:
    return {WEB: "the web server", MIGRATE: "the migrations"}.get(component, f"process {component}")


def _words(component: str, pod: Object, last: Object, error: str) -> str:
    if last:
        how = how_ended(last)
        verb = "failed" if component == MIGRATE else "crashed while starting"
        return f"{verb} ({how})" if how else verb
    waiting = _container(pod).get("state", {}).get("waiting", {})
    reason = waiting.get("reason", "")
    if reason and reason != "ContainerCreating":
        return f"did not start ({reason}: {waiting.get('message', '')})"
    what = "is not ready" if pod["status"].get("phase") == "Running" else "did not start"
    return f"{what}: {error.splitlines()[-1].removeprefix('error: ')}"


def _container(pod: Object) -> Object:
    statuses: list[Object] = pod["status"].get("containerStatuses") or []
    return next((each for each in statuses if each["name"] == CONTAINER), {})


def _is_ready(pod: Object) -> bool:
    conditions = pod["status"].get("conditions") or []
    return any((each["type"], each["status"]) == ("Ready", "True") for each in conditions)


def _last_lines(kubectl: Kubectl, pods: Sequence[str]) -> tuple[str, list[str]]:
    """Return the first pod that has any lines, and the last of these; the first pod if none has."""
    found = ((name, _lines(kubectl, name)) for name in pods)
    return next((each for each in found if each[1]), (pods[0], []))


def _lines(kubectl: Kubectl, pod: str) -> list[str]:
    """Return the last lines: of the container that ended, else of the running container."""
    logs = ("logs", pod, f"--container={CONTAINER}", f"--tail={MAX_LINES}")
    for which in (["--previous"], []):
        done = kubectl.call(*logs, *which)
        if done.returncode == 0 and done.stdout.strip() and not done.stdout.startswith(REMOVED):
            return done.stdout.splitlines()
    return []


def events(kubectl: Kubectl, pod: str) -> list[str]:
    """Return the warnings about a pod, each once.

    Raises:
        KubectlError: the cluster does not answer.
    """
    found: list[dict[str, Any]] = kubectl.get("events", f"--field-selector=type=Warning,involvedObject.name={pod}").get(
        "items", []
    )
    return list(dict.fromkeys(str(each.get("message", "")).strip() for each in found))
