"""The steps of the workflows, each a command that runs on a laptop as well."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from slipway.controller.cli.images import run_check
from slipway.controller.github import SetupError
from slipway.controller.pipeline import deploys, drift, images, runner
from slipway.controller.project import Project
from slipway.model.errors import SlipwayError

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)

Environment = Annotated[str, typer.Argument(help="A folder of deploy/, as production.", show_default=False)]
Digest = Annotated[str, typer.Argument(help="name@sha256:...", show_default=False)]
Archive = Annotated[Path, typer.Argument(help="A file as `docker save` writes it.", show_default=False)]


def _project() -> Project:
    return Project.find(Path.cwd())


@app.command()
def build(archive: Archive) -> None:
    """Build the image into a file. Output: `id`."""
    images.build(_project(), archive)


@app.command()
def check(image: Annotated[str, typer.Argument(help="Name or id.", show_default=False)]) -> None:
    """Check an image against the contract, with the variables, settings and services of the environment it is for."""
    site = images.site(_project())
    raise typer.Exit(run_check(image, extra_vars=[f"@{site.variables}"], settings=site.settings, beside=site.beside))


@app.command()
def publish(archive: Archive, image: Annotated[str, typer.Argument(help="Its id.", show_default=False)]) -> None:
    """Push the tested image, and sign it. Outputs: `image`, by digest; `name`, `digest`."""
    images.publish(archive, image)


@app.command()
def sbom(image: Digest, file: Annotated[Path, typer.Argument(help="The list's.", show_default=False)]) -> None:
    """Attach a signed list of an image's contents to it. Output: `path`."""
    images.sbom(image, file)


@app.command()
def contents(image: Digest) -> None:
    """Print the signed list of an image's contents."""
    print("\n".join(images.contents(image)))


@app.command()
def verify(image: Digest) -> None:
    """Verify that CI has signed an image."""
    images.verify(image)


@app.command()
def staged(environment: Environment, image: Digest) -> None:
    """Verify that all hosts of an environment run an image."""
    deploys.staged(_project(), environment, image)


@app.command()
def deploy(environment: Environment, image: Digest) -> None:
    """Deploy an image, and report. Output: `superseded`, the newer commit that the hosts keep."""
    deploys.deploy(_project(), environment, image)


@app.command()
def rollback(
    environment: Environment,
    release: Annotated[str, typer.Argument(help="Empty: the last healthy one.", show_default=False)] = "",
) -> None:
    """Roll back, and report."""
    deploys.rollback(_project(), environment, release)


@app.command()
def smoke(environment: Environment) -> None:
    """Verify that the public URL answers with what the hosts serve."""
    deploys.smoke_test(_project(), environment)


@app.command("drift")
def look_for_drift(
    environments: Annotated[list[str], typer.Argument(help="Folders of deploy/.", show_default=False)],
) -> None:
    """Print what differs on the hosts from what provisioning left. Output: `report`."""
    try:
        report = drift.differences(_project(), environments)
    except SetupError as error:
        raise SlipwayError(str(error)) from None
    print(report or "nothing differs", file=sys.stdout if report else sys.stderr)
    if os.environ.get("GITHUB_OUTPUT"):
        runner.output("report", report)
