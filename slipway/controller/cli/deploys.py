"""The verbs that call Ansible's playbooks."""

import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from slipway.controller import next_steps
from slipway.controller.cli.options import LOCAL, Environment, Verbose, verify_answered
from slipway.controller.image.docker import require_daemon
from slipway.controller.kubernetes import environment as kubernetes
from slipway.controller.kubernetes.deploy import deploy as kubernetes_deploy
from slipway.controller.kubernetes.rollback import rollback as kubernetes_rollback
from slipway.controller.kubernetes.unsupported import refuse
from slipway.controller.local.hosts import LocalHosts, Ports
from slipway.controller.local.image import DEFAULT_SYSTEM
from slipway.controller.playbook import Playbook, local_inventory
from slipway.controller.program import progress, require
from slipway.controller.project import Project
from slipway.controller.timings import Timings, seconds
from slipway.model.errors import UsageError

FIRST_PORT = 8080


class Data(StrEnum):
    """What is put beside the app on the host of `slipway up`, whatever the inventory says."""

    POSTGRES = "postgres"


def _play(context: typer.Context, verb: str, file: str, environment: str, *, verbose: bool) -> None:
    project = Project.find(Path.cwd())
    if verb == "provision":
        refuse(project, environment, verb)
    asks_ansible = bool(context.obj)  # --list-hosts needs no host, and -e may name one
    if not asks_ansible:
        verify_answered(project, environment)
    playbook = Playbook(verb, file, project, environment, context.obj)
    if not playbook.run(verbose=verbose):
        raise typer.Exit(1)


def _cluster(context: typer.Context, environment: str) -> kubernetes.Environment | None:
    """Return an environment of Kubernetes; None if it is one of hosts."""
    found = kubernetes.read(Project.find(Path.cwd()), environment)
    if found and context.obj:
        raise UsageError(f"{environment} is Kubernetes, and what follows -- goes to Ansible. Name an image by --image")
    return found


def up(
    context: typer.Context,
    http: Annotated[
        int | None,
        typer.Option(
            "--http",
            metavar="PORT",
            min=1,
            max=65535,
            help="Serve there on 127.0.0.1 (default: the first free port from 8080 on).",
        ),
    ] = None,
    data: Annotated[
        Data | None,
        typer.Option(
            "--data",
            help="Put PostgreSQL and a broker beside the app (default: if hosts.yml has a group `data`).",
        ),
    ] = None,
    verbose: Verbose = False,
) -> None:
    """Start a host on this machine (a container with systemd), provision it, and deploy the app to it.

    It has the variables of deploy/local, else of staging or production, and the secrets' values for tests.
    The first time takes a few minutes. Repeated, it continues with the same host; a change of code is `slipway deploy`.
    """
    project = Project.find(Path.cwd())
    require(docker="runs the host", ssh="reaches it", rsync="ships releases")
    require_daemon()
    began, timings = time.monotonic(), Timings.read(project.cache / f"timings/{LOCAL}.json")
    last = timings.last("host")
    progress(f"host ({last or 'the first time, all together takes a few minutes'})")
    local = LocalHosts(project.cache / "hosts", project.id)
    published = local.up(
        LOCAL,
        system=DEFAULT_SYSTEM,
        ports=Ports(http=http, http_from=FIRST_PORT),
        groups=["app", *(["data"] if data is Data.POSTGRES else [])],
    )
    timings.add("host", time.monotonic() - began)
    timings.save()
    print(f"host: runs after {seconds(timings.now['host'])}, ssh on port {published[22]}, http on port {published[80]}")
    _play(context, "up", "site.yml", LOCAL, verbose=verbose)
    print(next_steps.text(local.url(LOCAL), project))


def down() -> None:
    """Remove the host that `slipway up` started. Images and downloads stay for the next time."""
    project = Project.find(Path.cwd())
    require_daemon()
    hosts = LocalHosts(project.cache / "hosts", project.id)
    removed = [name for name in (LOCAL, "try") if hosts.down(name)]
    print("\n".join(f"host {name}: removed" for name in removed) or "There is no host on this machine.")


def provision(context: typer.Context, environment: Environment, verbose: Verbose = False) -> None:
    """Make hosts ready to serve, as root, and deploy to them. Repeat it after a change of a variable.

    What it would change: slipway provision production -- --check --diff
    """
    _play(context, "provision", "site.yml", environment, verbose=verbose)


def deploy(
    context: typer.Context,
    environment: Environment = LOCAL,
    image: Annotated[
        str,
        typer.Option("--image", metavar="IMAGE", help="This image; Kubernetes needs name@sha256:... of a registry."),
    ] = "",
    verbose: Verbose = False,
) -> None:
    """Build the image and make it the live release, as the user deploy. A release that does not work is aborted.

    An image that is there already: slipway deploy production --image IMAGE
    """
    if cluster := _cluster(context, environment):
        kubernetes_deploy(cluster, image, verbose=verbose)
        return
    if image:
        context.obj += ["-e", f"release_image={image}"]
    _play(context, "deploy", "deploy.yml", environment, verbose=verbose)
    project = Project.find(Path.cwd())
    if environment == LOCAL and not context.obj and local_inventory(project).exists():
        print(f"Serving:  {LocalHosts(project.cache / 'hosts', project.id).url(LOCAL)}")


def rollback(
    context: typer.Context,
    environment: Environment = LOCAL,
    release: Annotated[
        str, typer.Option("--to", metavar="RELEASE", help="This release, not the last healthy one.")
    ] = "",
    verbose: Verbose = False,
) -> None:
    """Return to the release that was live before.

    No migration runs. The names of the releases: slipway status production
    """
    if cluster := _cluster(context, environment):
        kubernetes_rollback(cluster, release, verbose=verbose)
        return
    if release:
        context.obj += ["-e", f"release_rollback_to={release}"]
    _play(context, "rollback", "rollback.yml", environment, verbose=verbose)
