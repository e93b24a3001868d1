"""Waiting for the cluster by kubectl's own commands, unless a pod can never start."""

import shlex
import subprocess
import time

from slipway.controller.kubernetes.cause import events
from slipway.controller.kubernetes.kubectl import Kubectl, KubectlError

POLL_SECONDS = 3.0
STUCK_SECONDS = 20.0
"""A registry, or a Secret that is made just now, gets as much time."""
STUCK = {"ImagePullBackOff", "ErrImagePull", "InvalidImageName", "CreateContainerConfigError", "CreateContainerError"}


def wait(kubectl: Kubectl, *arguments: str, selector: str) -> None:
    """Run a command that waits. `selector` has the pods that it waits for.

    Raises:
        KubectlError: it failed, or one of the pods can never start; the message is what kubectl printed.
    """
    command = kubectl.command(*arguments)
    if kubectl.verbose:
        print(f"$ {shlex.join(command)}", flush=True)
    since: float | None = None
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        try:
            while True:
                try:
                    output, _ = process.communicate(timeout=POLL_SECONDS)
                    break
                except subprocess.TimeoutExpired:
                    stuck = _stuck(kubectl, selector)
                since = (since or time.monotonic()) if stuck else None
                if since and time.monotonic() - since > STUCK_SECONDS:
                    raise KubectlError(stuck)
        finally:
            process.kill()
    if kubectl.verbose:
        print(output, end="", flush=True)
    if process.returncode:
        raise KubectlError(output.strip() or f"kubectl {shlex.join(arguments)} failed")


def _stuck(kubectl: Kubectl, selector: str) -> str:
    """Return why a pod can never start; empty if it may. The command itself tells that the cluster does not answer."""
    try:
        for pod in kubectl.items("pods", selector):
            for container in pod["status"].get("containerStatuses") or []:
                waiting = container.get("state", {}).get("waiting", {})
                if waiting.get("reason") in STUCK:
                    return f"{waiting['reason']}: {waiting.get('message', '')}"
                if waiting.get("reason") == "ContainerCreating":
                    name = pod["metadata"]["name"]
                    for event in events(kubectl, name):
                        if "MountVolume.SetUp failed" in event and "not found" in event:
                            return event
    except KubectlError:
        pass
    return ""
