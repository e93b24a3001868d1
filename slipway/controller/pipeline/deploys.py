"""The steps that reach hosts: deploy, roll back, look at what they serve."""

import os
import re
import time

from slipway.controller.kubernetes import environment as kubernetes
from slipway.controller.pipeline import PipelineError, clusters, registry, report, runner, smoke
from slipway.controller.pipeline.connection import Connection, connect
from slipway.controller.pipeline.hosts import Statuses, newer, statuses
from slipway.controller.program import progress
from slipway.controller.project import Project

RELEASE = re.compile(r"[0-9]{8}T[0-9]{6}-[0-9a-f]{7}")
LOCK_WAIT_SECONDS = 600
"""For somebody else's activation: a rollback by hand, or what a runner that died has left running."""


def deploy(project: Project, environment: str, image: str) -> None:
    """Bring an image, named by digest, to the hosts of an environment, and write down how that went.

    The hosts get its files from here over SSH: they know no registry. Hosts that serve a newer commit keep it; it is
    the output `superseded`.

    Raises:
        PipelineError: it was not deployed.
        ProjectError: there is no such environment.
    """
    if cluster := kubernetes.read(project, environment):
        clusters.deploy(cluster, image)
        return
    registry.check_digest(image)
    with connect() as connection, registry.login(image) as logged_in:
        commit = registry.commit(registry.pulled(image, logged_in))
        before = statuses(project, environment, connection)
        serves = newer(project.root, commit, before)
        runner.output("superseded", serves)
        if serves:
            progress(f"deploy: superseded, {environment} serves the newer commit {serves}")
            runner.summary(report.superseded(environment, before, image=image, newer=serves))
            return
        if not _play(project, environment, connection, before, "deploy.yml", image, release_image=image):
            raise PipelineError(f"{environment} was not deployed: the cause is above, and on the run's page")


def rollback(project: Project, environment: str, release: str) -> None:
    """Return to a release, or to the last healthy one if none is named, and write down how that went.

    Raises:
        PipelineError: it was not rolled back.
        ProjectError: there is no such environment.
    """
    if cluster := kubernetes.read(project, environment):
        clusters.rollback(cluster, release)
        return
    if release and not RELEASE.fullmatch(release):
        raise PipelineError(f"{release!r} is not a release. Type one as 20261122T105851-3f2a9c1 (slipway status).")
    with connect() as connection:
        before = statuses(project, environment, connection)
        if not _play(project, environment, connection, before, "rollback.yml", release_rollback_to=release):
            raise PipelineError(f"{environment} was not rolled back: the cause is above, and on the run's page")


def _play(
    project: Project,
    environment: str,
    connection: Connection,
    before: Statuses,
    file: str,
    image: str = "",
    **variables: str,
) -> bool:
    """Run a playbook that changes what is live, and write down how that went. Returns whether it succeeded."""
    began = time.monotonic()
    succeeded, output = connection.playbook(
        project, environment, file, release_lock_wait=LOCK_WAIT_SECONDS, **variables
    )
    if not succeeded:
        runner.summary(report.failed(environment, before, output, image=image))
        return False
    seconds = time.monotonic() - began
    after = statuses(project, environment, connection)
    runner.summary(report.done(environment, before, after, seconds=seconds, image=image))
    return True


def staged(project: Project, environment: str, image: str) -> None:
    """Accept an image, named by digest, that all hosts of an environment serve: before it goes to the next one.

    Raises:
        PipelineError: they serve another one.
        ProjectError: there is no such environment.
    """
    registry.check_digest(image)
    found = _statuses(project, environment)
    others = {name: status for name, status in found.items() if status["image_name"] != image}
    if others:
        lines = [
            f"{name} serves {status['image_name'] or 'nothing'} (commit {status.get('commit') or 'unknown'})"
            for name, status in others.items()
        ]
        lines.append(f"{environment} does not run {image}: deploy what it runs, or wait until it does")
        raise PipelineError("\n".join(lines))


def _statuses(project: Project, environment: str) -> Statuses:
    if cluster := kubernetes.read(project, environment):
        return clusters.status(cluster)
    with connect() as connection:
        return statuses(project, environment, connection)


def smoke_test(project: Project, environment: str) -> None:
    """Ask the app as a client does, through SLIPWAY_URL: it must answer with what the hosts say is live.

    Raises:
        PipelineError: it does not.
        ProjectError: there is no such environment.
    """
    project.environment(environment)
    url = os.environ.get("SLIPWAY_URL")
    if not url:
        runner.summary("- smoke test: **not done**, since SLIPWAY_URL is not set")
        return
    found = _statuses(project, environment)
    try:
        seen = smoke.probe(url, found)
    except PipelineError as error:
        runner.summary(f"- smoke test: **failed**: {error}")
        raise PipelineError(f"smoke test: {error}") from None
    runner.summary(f"- smoke test: {url} {seen}")
