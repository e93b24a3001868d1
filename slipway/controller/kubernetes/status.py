"""The status of a namespace, for people and for programs. Names that a host's status has, too, mean the same here."""

import time
from typing import Any

from slipway.controller.kubernetes import preflight
from slipway.controller.kubernetes.cause import memory_advice, memory_limit
from slipway.controller.kubernetes.crashes import found
from slipway.controller.kubernetes.environment import Environment
from slipway.controller.kubernetes.kubectl import Kubectl
from slipway.controller.kubernetes.overlay import WEB, Object
from slipway.controller.kubernetes.state import OURS, State
from slipway.engine.crashes import Crashes


def read(environment: Environment, *, verbose: bool = False) -> dict[str, Any]:
    """Return the status as one JSON document.

    Raises:
        SlipwayError: the cluster cannot be reached, or does not tell it.
    """
    kubectl = Kubectl.of(environment, verbose=verbose)
    preflight.reach(kubectl, environment)
    state = State.read(kubectl)
    processes = {name: _pods(each) for name, each in state.deployments.items()}
    crashes = found(kubectl.items("pods", OURS), time.time())
    problem = _problem(environment, state, processes) or _loop(environment, state, crashes)
    live = next((each for each in state.of(WEB) if each.release == state.live), None)
    return {
        "environment": environment.name,
        "context": environment.context,
        "namespace": environment.namespace,
        "state": _state(state, problem),
        "problem": problem,
        "live": state.live or None,
        "since": live and live.created,
        "image_name": live.image if live else None,
        "processes": processes,
        "crashes": {name: each.to_json() for name, each in crashes.items()},
        "rollback_target": state.rollback_target or None,
        "releases": [
            {"release": each.release, "revision": each.number, "image_name": each.image, "created": each.created}
            for each in state.of(WEB)
        ],
        "config": {"ready_path": environment.ready_path, "version_path": environment.version_path},
    }


def _pods(deployment: Object) -> dict[str, int]:
    status = deployment.get("status", {})
    return {"ready": status.get("readyReplicas", 0), "wanted": deployment["spec"].get("replicas", 1)}


def _problem(environment: Environment, state: State, processes: dict[str, dict[str, int]]) -> str | None:
    if strays := state.strays:
        what = ", ".join(f"{name} is {state.current(name)}" for name in strays)
        return f"a deploy runs or was interrupted: {what}. To return: slipway rollback {environment.name}"
    lacking = [f"{name}: {each['ready']} of {each['wanted']}" for name, each in processes.items() if _lacks(each)]
    logs = f"slipway logs {environment.name}"
    return f"pods that are ready: {', '.join(lacking)}. Their last lines: {logs}" if lacking else None


def _loop(environment: Environment, state: State, crashes: dict[str, Crashes]) -> str | None:
    """Which process crashes again and again, and why; None if none does."""
    for name, each in crashes.items():
        if each.loop and name in state.deployments:
            limit = memory_limit(state.deployments[name]["spec"]["template"]["spec"])
            advice = f": {memory_advice(limit)}" if each.kills else ""
            logs = f"slipway logs {environment.name} --process {name}"
            return f"{name}: {each}{advice}; `{logs}` shows the last lines"
    return None


def _lacks(pods: dict[str, int]) -> bool:
    return pods["ready"] < pods["wanted"]


def _state(state: State, problem: str | None) -> str:
    if WEB not in state.deployments:
        return "empty"
    if state.strays:
        return "mixed"
    return "unhealthy" if problem else "healthy"


def text(values: dict[str, Any]) -> str:
    """Return the status for people."""
    lines = [f"{values['environment']}: {values['state']}"]
    lines.append(f"  cluster   {values['context']}, namespace {values['namespace']}")
    if values["live"]:
        lines.append(f"  live      {values['live']} since {values['since']}")
        lines.append(f"  image     {values['image_name']}")
    if values["problem"]:
        lines.append(f"  problem   {values['problem']}")
    lines += [f"  crashes   {name}: {Crashes.from_json(each)}" for name, each in values["crashes"].items()]
    if values["processes"]:
        pods = (f"{name} {each['ready']} of {each['wanted']}" for name, each in values["processes"].items())
        lines.append(f"  processes {', '.join(pods)}")
    lines.append(f"  rollback  {values['rollback_target'] or 'no earlier healthy release'}")
    for each in values["releases"]:
        mark = "*" if each["release"] == values["live"] else " "
        lines.append(f"  {mark} {each['release']}  {each['created']}  {each['image_name']}")
    return "\n".join(lines)
