"""The log of an environment's pods."""

import subprocess

from slipway.controller.kubernetes import preflight
from slipway.controller.kubernetes.environment import Environment
from slipway.controller.kubernetes.kubectl import Kubectl
from slipway.controller.kubernetes.overlay import COMPONENT, MIGRATE, VERSION
from slipway.controller.kubernetes.state import OURS
from slipway.model.errors import UsageError

MAX_PODS = 50


def logs(
    environment: Environment,
    *,
    lines: int,
    follow: bool = False,
    release: str = "",
    process: str = "",
    verbose: bool = False,
) -> int:
    """Print the log of the pods that run. Returns kubectl's exit status.

    Raises:
        UsageError: no such pod runs.
        SlipwayError: the cluster cannot be reached.
    """
    kubectl = Kubectl.of(environment, verbose=verbose)
    preflight.reach(kubectl, environment)
    selector = f"{OURS},{COMPONENT}={process}" if process else f"{OURS},{COMPONENT}!={MIGRATE}"
    selector += f",{VERSION}={release}" if release else ""
    pods = kubectl.items("pods", selector)
    if not pods:
        wanted = " ".join(filter(None, [f"of the process {process}" * bool(process), f"of {release}" * bool(release)]))
        raise UsageError(
            f"no pod {wanted or 'of the app'} is in {environment.name}: a cluster keeps the log of its pods alone. "
            f"Type: slipway status {environment.name}"
        )
    options = [f"--tail={lines}", "--prefix", f"--max-log-requests={MAX_PODS}", *(["--follow"] if follow else [])]
    return subprocess.run(kubectl.command("logs", f"--selector={selector}", *options), check=False).returncode
