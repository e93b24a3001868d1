"""Restart all pods of a namespace by a rolling update, which Kubernetes does by itself."""

from functools import partial

from slipway.controller.kubernetes import preflight
from slipway.controller.kubernetes.change import Change
from slipway.controller.kubernetes.environment import Environment
from slipway.controller.kubernetes.kubectl import Kubectl
from slipway.controller.kubernetes.overlay import WEB
from slipway.controller.kubernetes.state import OURS, State
from slipway.controller.program import progress
from slipway.model.errors import UsageError


def restart(environment: Environment, *, verbose: bool = False) -> None:
    """Restart each Deployment, `web` first, and wait until its new pods are ready.

    Raises:
        UsageError: nothing is live, or a deploy is under way. Nothing was touched.
        SlipwayError: the cluster cannot be reached, or refuses it. Nothing was touched.
        ChangeError: it failed; with the cause, and what was undone.
    """
    kubectl = Kubectl.of(environment, verbose=verbose)
    preflight.reach(kubectl, environment)
    state = State.read(kubectl)
    if not state.live:
        raise UsageError(f"no release is live in {environment.name}. Type: slipway deploy {environment.name}")
    migrating = any(each.get("status", {}).get("active") for each in kubectl.items("jobs", OURS))
    if state.strays or migrating:
        what = f"{', '.join(state.strays)} not of {state.live}" if state.strays else "migrations run"
        raise UsageError(
            f"a deploy to {environment.name} is under way, or was cut off: {what}. Wait for its end, or return to "
            f"{state.live}: slipway rollback {environment.name}"
        )
    names = sorted(state.deployments, key=lambda name: name != WEB)
    progress(f"restart {environment.name}: {state.live}")
    change = Change(kubectl, environment, "restart", state, state.live, state.before(names))
    with change.undone_on_failure():
        for name in names:
            change.run(name, partial(_restart, change, name))
    print(f"{state.live} is restarted.")


def _restart(change: Change, name: str) -> None:
    change.touched.append(name)
    change.kubectl.run("rollout", "restart", f"deployment/{name}")
    change.rolled_out(name)
