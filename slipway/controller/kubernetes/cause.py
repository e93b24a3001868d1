"""Why pods of a release do not run, in the words of a host: how they ended, the setting to change, their last lines."""

from typing import Any

from slipway.controller.kubernetes.kubectl import Kubectl
from slipway.controller.kubernetes.overlay import COMPONENT, CONTAINER, MIGRATE, VERSION, WEB, Object
from slipway.engine.causes import MAX_LINES, error_lines, hint, written
from slipway.engine.crashes import ending

LINES = 30
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
    pod = max(pods, key=lambda each: (bool(_ended(each)), _container(each).get("restartCount", 0)))
    name, ended = pod["metadata"]["name"], _ended(pod)
    lines = _lines(kubectl, name)
    what, advice = f"{_subject(component)} {_words(component, pod, ended, error)}", hint(lines)
    if ended.get("reason") == "OOMKilled":
        limit = pod["spec"]["containers"][0].get("resources", {}).get("limits", {}).get("memory", "unlimited")
        what += f": out of memory (resources.limits.memory of {component}: {limit})"
        advice = (
            f"all processes of a pod together may have {limit} (`resources.limits.memory`): raise it in the overlay, "
            "start fewer workers (`WEB_CONCURRENCY`), or look for what the app keeps"
        )
    what = "\n".join([what, *(f"Event: {event}" for event in events(kubectl, name))])
    return written(what, advice, f"pod/{name}", error_lines(lines, LINES))


def _subject(component: str) -> str:
    return {WEB: "the web server", MIGRATE: "the migrations"}.get(component, f"process {component}")


def _words(component: str, pod: Object, ended: Object, error: str) -> str:
    if ended:
        status = int(ended.get("exitCode", 0))
        how = ending(status - SIGNAL, is_signal=True) if status > SIGNAL else ending(status, is_signal=False)
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


def _ended(pod: Object) -> Object:
    """Return how the app's container ended last; {} if it never did."""
    container = _container(pod)
    now: Object = container.get("state", {}).get("terminated") or {}
    return now or container.get("lastState", {}).get("terminated") or {}


def _is_ready(pod: Object) -> bool:
    conditions = pod["status"].get("conditions") or []
    return any((each["type"], each["status"]) == ("Ready", "True") for each in conditions)


def _lines(kubectl: Kubectl, pod: str) -> list[str]:
    """Return the last lines: of the container that ended, else of the running container."""
    logs = ("logs", pod, f"--container={CONTAINER}", f"--tail={MAX_LINES}")
    previous = kubectl.call(*logs, "--previous")
    done = previous if previous.returncode == 0 and previous.stdout.strip() else kubectl.call(*logs)
    return done.stdout.splitlines() if done.returncode == 0 else []


def events(kubectl: Kubectl, pod: str) -> list[str]:
    """Return the warnings about a pod, each once.

    Raises:
        KubectlError: the cluster does not answer.
    """
    found: list[dict[str, Any]] = kubectl.get("events", f"--field-selector=type=Warning,involvedObject.name={pod}").get(
        "items", []
    )
    return list(dict.fromkeys(str(each.get("message", "")).strip() for each in found))
