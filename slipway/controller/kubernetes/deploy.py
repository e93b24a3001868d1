"""Deploying a release: the migration, the web server, then the other processes."""

from slipway.controller.kubernetes import preflight
from slipway.controller.kubernetes.cause import selector
from slipway.controller.kubernetes.change import Change, Interrupted
from slipway.controller.kubernetes.environment import Environment
from slipway.controller.kubernetes.kubectl import Kubectl, KubectlError
from slipway.controller.kubernetes.overlay import COMPONENT, MIGRATE, WEB, Rendered, rendered
from slipway.controller.kubernetes.state import State
from slipway.controller.program import progress

MIGRATE_TIMEOUT = "--timeout=11m"
"""Longer than activeDeadlineSeconds of the Job."""


def deploy(environment: Environment, image: str = "", *, verbose: bool = False) -> None:
    """Make an image, by digest, the live release. One that fails is undone.

    Raises:
        UsageError: the image, the overlay or a variable cannot be used. Nothing was touched.
        SlipwayError: the cluster cannot be reached, or refuses it. Nothing was touched.
        ChangeError: the release failed; with the cause, and what was undone.
    """
    kubectl = Kubectl.of(environment, verbose=verbose)
    with rendered(kubectl, environment, image or environment.image) as overlay:
        preflight.check(kubectl, environment, overlay)
        state, release = State.read(kubectl), overlay.release
        progress(f"deploy {environment.name}: {release}")
        change = Change(kubectl, environment, "deploy", state, release, state.before([WEB, *overlay.processes]))
        with change.undone_on_failure():
            if MIGRATE in overlay.names("Job"):
                change.run(MIGRATE, lambda: _migrate(change, overlay))
            change.run(WEB, lambda: _web(change, overlay))
            if overlay.processes:
                change.run("processes", lambda: _processes(change, overlay))
            change.run("keep", lambda: change.complete(state.history_with(release)))
    print(_report(environment, state, release))


def _apply(change: Change, overlay: Rendered, components: str) -> None:
    change.kubectl.run("apply", "-k", str(overlay.folder), "-l", f"{COMPONENT} {components}")


def _migrate(change: Change, overlay: Rendered) -> None:
    kubectl, job = change.kubectl, f"job/{MIGRATE}"
    kubectl.run("delete", "job", MIGRATE, "--ignore-not-found")
    try:
        _apply(change, overlay, f"in ({MIGRATE})")
        pods = selector(MIGRATE, overlay.release)
        done = "--for=jsonpath={.status.conditions}"
        change.wait(MIGRATE, "wait", job, done, MIGRATE_TIMEOUT, selector=pods)
        change.wait(MIGRATE, "wait", job, "--for=condition=Complete", "--timeout=10s", selector=pods)
    except Interrupted as error:
        try:
            kubectl.run("delete", "job", MIGRATE, "--ignore-not-found", "--wait=false")
        except KubectlError:
            raise Interrupted(f"{error}. The migration may go on: kubectl delete job {MIGRATE}") from None
        raise Interrupted(f"{error}. The migration was stopped") from None


def _web(change: Change, overlay: Rendered) -> None:
    change.touched.append(WEB)
    others = ",".join([MIGRATE, *overlay.processes])
    _apply(change, overlay, f"notin ({others})")
    change.rolled_out(WEB)


def _processes(change: Change, overlay: Rendered) -> None:
    change.touched += overlay.processes
    _apply(change, overlay, f"in ({','.join(overlay.processes)})")
    for name in overlay.processes:
        change.rolled_out(name)


def _report(environment: Environment, before: State, release: str) -> str:
    if before.live == release:
        return f"{release} was live already."
    back = f" To return to {before.live}, type: slipway rollback {environment.name}" if before.live else ""
    return f"{release} is live.{back}"
