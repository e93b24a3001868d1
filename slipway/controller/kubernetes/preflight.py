"""Whether the cluster can be reached, and lets this login do what a verb does: before anything is changed."""

from slipway.controller.kubernetes.environment import CONTEXT, NAMESPACE, PAGE, Environment
from slipway.controller.kubernetes.kubectl import Kubectl, KubectlError
from slipway.controller.kubernetes.overlay import COMPONENT, MIGRATE, Rendered
from slipway.model.errors import SlipwayError, UsageError

TIMEOUT = "--request-timeout=15s"
NEEDED = (("delete", "jobs.batch"), ("create", "jobs.batch"), ("get", "pods"), ("get", "pods/log"), ("list", "events"))
"""What no other command of the preflight tries."""


def reach(kubectl: Kubectl, environment: Environment) -> None:
    """Verify that the cluster answers, and has the namespace.

    Raises:
        UsageError: kubectl has no such context, or the cluster no such namespace.
        SlipwayError: it cannot be reached, or refuses this login.
    """
    if kubectl.call("config", "get-contexts", environment.context, "--output=name").returncode:
        known = ", ".join(kubectl.call("config", "get-contexts", "--output=name").stdout.split()) or "none"
        raise UsageError(
            f"{CONTEXT} is {environment.context}, and kubectl knows no context of that name. There is: {known}. "
            "Correct it, or add the context to the file that KUBECONFIG names"
        )
    done = kubectl.call("get", "namespace", environment.namespace, "--output=name", TIMEOUT)
    if done.returncode:
        raise _refused(done.stderr.strip(), environment)


def _refused(error: str, environment: Environment) -> SlipwayError:
    where = f"the cluster of the context {environment.context}"
    if "(NotFound)" in error:
        return UsageError(
            f"{NAMESPACE} is {environment.namespace}, and {where} has no such namespace. Correct it, or create it with "
            f"its Secrets ({PAGE}): kubectl create namespace {environment.namespace}"
        )
    if "(Forbidden)" in error:
        return _forbidden(error, environment)
    if "Unauthorized" in error or "provide credentials" in error:
        return SlipwayError(f"{where} does not accept this login: {error}\nRenew it in the file that KUBECONFIG names")
    return SlipwayError(f"{where} cannot be reached: {error}\nTry: kubectl --context={environment.context} version")


def _forbidden(error: str, environment: Environment) -> SlipwayError:
    return SlipwayError(
        f"this login may not do what a deploy does in the namespace {environment.namespace}: {error}\n"
        "An administrator of the cluster grants it: kubernetes/deployer.yaml"
    )


def check(kubectl: Kubectl, environment: Environment, overlay: Rendered) -> None:
    """Verify that a deploy may begin. The API checks the objects and the rights to apply them, and keeps nothing.

    Raises:
        SlipwayError: it would refuse one of them.
    """
    reach(kubectl, environment)
    for verb, resource in NEEDED:
        done = kubectl.call("auth", "can-i", verb, resource)
        if done.stdout.strip() != "yes":
            raise _forbidden(done.stderr.strip() or f"no {verb} of {resource}", environment)
    # A Job that is there cannot be changed: the deploy deletes it first.
    try:
        kubectl.run("apply", "--dry-run=server", "-k", str(overlay.folder), "-l", f"{COMPONENT}!={MIGRATE}")
    except KubectlError as error:
        if "(Forbidden)" in str(error) and "violates PodSecurity" not in str(error):
            raise _forbidden(str(error), environment) from None
        raise SlipwayError(
            f"the cluster refuses {environment.overlay}: {error}\nCorrect it, then repeat this"
        ) from None
