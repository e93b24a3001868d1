"""Returning to a release whose revisions the cluster keeps. No migration runs."""

from functools import partial

from slipway.controller.kubernetes import preflight
from slipway.controller.kubernetes.change import Change
from slipway.controller.kubernetes.environment import Environment
from slipway.controller.kubernetes.kubectl import Kubectl
from slipway.controller.kubernetes.overlay import WEB
from slipway.controller.kubernetes.state import State
from slipway.controller.program import progress
from slipway.model.errors import UsageError


def rollback(environment: Environment, release: str = "", *, verbose: bool = False) -> None:
    """Return to a release. Without a name: the release before the live one, or to the live one if a deploy was cut off.

    Raises:
        UsageError: there is no such release. Nothing was touched.
        SlipwayError: the cluster cannot be reached, or refuses it. Nothing was touched.
        ChangeError: it failed; with the cause, and what was undone.
    """
    kubectl = Kubectl.of(environment, verbose=verbose)
    preflight.reach(kubectl, environment)
    state = State.read(kubectl)
    target = release or state.rollback_target
    kept = list(dict.fromkeys(each.release for each in state.of(WEB)))
    if not target:
        raise UsageError(f"no earlier healthy release in {environment.name}. Name one with --to: {', '.join(kept)}")
    if target not in kept:
        known = ", ".join(kept) or "none"
        raise UsageError(
            f"{target!r} is no release that {environment.name} keeps. There is: {known}. Name one with --to"
        )
    names = [WEB, *(name for name in state.deployments if name != WEB and state.revision(name, target))]
    progress(f"rollback {environment.name}: {target}")
    change = Change(kubectl, environment, "rollback", state, target, state.before(names))
    with change.undone_on_failure():
        for name in names:
            change.run(name, partial(_return, change, name))
        change.run("keep", lambda: change.complete(state.history_back_at(target)))
    left = [name for name in state.deployments if name not in names]
    stay = f" Unchanged, since no revision of theirs is of this release: {', '.join(left)}." if left else ""
    print(f"{target} is live.{stay}")


def _return(change: Change, name: str) -> None:
    change.touched.append(name)
    number = change.state.revision(name, change.release)
    change.kubectl.run("rollout", "undo", f"deployment/{name}", f"--to-revision={number}")
    change.rolled_out(name)
