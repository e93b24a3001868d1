"""The steps that reach a cluster: what deploys.py does with hosts, by the same verbs as on a laptop."""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from slipway.controller.kubernetes import status as cluster_status
from slipway.controller.kubernetes.deploy import deploy as deploy_to
from slipway.controller.kubernetes.environment import PAGE, Environment
from slipway.controller.kubernetes.rollback import rollback as roll_back
from slipway.controller.pipeline import PipelineError, report, runner
from slipway.model.errors import SlipwayError

SECRET = "SLIPWAY_KUBECONFIG"  # noqa: S105 -- the name of the variable that has it


@contextmanager
def connect(environment: Environment) -> Iterator[Environment]:
    """Yield the environment as SLIPWAY_KUBECONFIG reaches it: by its current context. On a laptop, without: as it is.

    Raises:
        PipelineError: a workflow was not given it, or it is no kubeconfig.
    """
    text = os.environ.get(SECRET, "")
    if not text and not runner.is_ci():
        yield environment
        return
    if not text:
        raise PipelineError(f"no {SECRET}. Set this secret of the environment {environment.name}: {PAGE}")
    try:
        context = yaml.safe_load(text)["current-context"]
    except (yaml.YAMLError, KeyError, TypeError):
        raise PipelineError(f"{SECRET} is no kubeconfig with a current-context. Write it again: {PAGE}") from None
    before = os.environ.get("KUBECONFIG")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "kubeconfig"
        file.touch(mode=0o600)
        file.write_text(text)
        os.environ["KUBECONFIG"] = str(file)
        try:
            yield replace(environment, context=str(context))
        finally:
            if before is None:
                del os.environ["KUBECONFIG"]
            else:
                os.environ["KUBECONFIG"] = before


def deploy(environment: Environment, image: str) -> None:
    """Deploy an image, named by digest, and write down how that went.

    Raises:
        PipelineError: it was not deployed.
    """
    # The cluster does not know which commit an image is of.
    runner.output("superseded", "")
    with connect(environment) as found, _reported(found, "deployed", image):
        deploy_to(found, image, verbose=True)


def rollback(environment: Environment, release: str) -> None:
    """Return to a release, or to the last healthy one if none is named, and write down how that went.

    Raises:
        PipelineError: it was not rolled back.
    """
    with connect(environment) as found, _reported(found, "rolled back"):
        roll_back(found, release, verbose=True)


@contextmanager
def _reported(environment: Environment, done: str, image: str = "") -> Iterator[None]:
    """Run a verb, and write down how it went. Nothing that an app logs is a command to the workflow."""
    began, name = time.monotonic(), environment.name
    with runner.no_commands():
        try:
            yield
        except SlipwayError as error:
            print(error, flush=True)
            runner.summary("\n".join([f"### {name}: failed", "", *report.block(str(error).splitlines())]))
            raise PipelineError(f"{name} was not {done}: the cause is above, and on the run's page") from None
    live = cluster_status.read(environment)["live"]
    lines = [f"### {name}: `{live}` is live", "", f"- {done} in {time.monotonic() - began:.0f} s"]
    lines += [f"- image: `{image}`"] * bool(image)
    lines.append(f"- to go back: the workflow `operate`, or `slipway rollback {name}`")
    runner.summary("\n".join(lines))


def status(environment: Environment) -> dict[str, dict[str, Any]]:
    """Return the status of the namespace, by the environment's name.

    Raises:
        SlipwayError: the cluster does not tell it.
    """
    with connect(environment) as found:
        return {environment.name: cluster_status.read(found)}
