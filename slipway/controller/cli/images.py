"""The verbs about an image."""

import json
from pathlib import Path
from typing import Annotated

import typer

from slipway.contract.check import Options
from slipway.contract.check import check as check_image
from slipway.contract.data import NAMES
from slipway.contract.lines import ONLY_HOSTS, Findings, State, table
from slipway.contract.site import Site, SiteError
from slipway.controller import project_image
from slipway.controller.cli.options import AsJson
from slipway.controller.image.docker import Docker, find_docker
from slipway.controller.project import Project, image_cache
from slipway.controller.settings import read_settings
from slipway.model.errors import SlipwayError, UsageError


def check(
    context: typer.Context,
    image: Annotated[
        str | None, typer.Argument(help="Name or id of the image. Without it: this project's own, which is built.")
    ] = None,
    extra_vars: Annotated[
        list[str] | None,
        typer.Option("-e", "--extra-vars", metavar="NAME=VALUE|@FILE", help="A variable of the app, as for Ansible."),
    ] = None,
    settings: Annotated[
        Path | None, typer.Option("--settings", metavar="FILE", help="The settings.env of an environment.")
    ] = None,
    slow_path: Annotated[
        str | None,
        typer.Option("--slow-path", metavar="PATH", help="Its response takes a second or two, and survives SIGTERM."),
    ] = None,
    beside: Annotated[
        list[str] | None,
        typer.Option("--with", metavar="|".join(NAMES), help="Run a PostgreSQL or a Valkey beside the app."),
    ] = None,
    timeout: Annotated[float, typer.Option("--timeout", help="Seconds that the app may take to become ready.")] = 60,
    as_json: AsJson = False,
) -> None:
    """Check that an image can be deployed, with Docker alone, without a host: what would fail, and what to change.

    A project's own image gets the variables, settings and test secrets that it has with `slipway up`.

    Exit status: 0 every line that can be seen is kept, 1 one is broken, 2 the image cannot be checked.
    """
    if context.obj:
        raise UsageError(f"Nothing follows -- here, and {' '.join(context.obj)} does.")
    variables, beside = extra_vars or [], beside or []
    if image is None:
        try:
            image, site = project_image.build(Project.find(Path.cwd()))
        except SlipwayError as error:
            raise UsageError(str(error)) from None
        settings, beside = settings or site.settings, beside or site.beside
        variables = [f"@{site.variables}", *variables]
    raise typer.Exit(
        run_check(
            image,
            extra_vars=variables,
            settings=settings,
            beside=beside,
            slow_path=slow_path,
            timeout=timeout,
            as_json=as_json,
        )
    )


def run_check(
    image: str,
    *,
    extra_vars: list[str],
    settings: Path | None,
    beside: list[str],
    slow_path: str | None = None,
    timeout: float = 60,
    as_json: bool = False,
) -> int:
    """Check an image, and print the findings. Returns 0, or 1 if a line is broken.

    Args:
        image: its name or id.
        extra_vars: variables of the app, as for Ansible.
        settings: the settings.env of an environment.
        beside: the services beside the app.
        slow_path: a path whose response takes a second or two.
        timeout: seconds that the app may take to become ready.
        as_json: print one JSON document.

    Raises:
        UsageError: the image cannot be checked.
    """
    if wrong := set(beside) - set(NAMES):
        raise UsageError(f"--with {wrong.pop()} is not known. Name one of {', '.join(NAMES)}.")
    try:
        findings = check_image(
            Docker(find_docker()),
            Options(
                image=image,
                site=Site.read(extra_vars),
                settings=read_settings(settings) if settings else {},
                beside=beside,
                slow_path=slow_path,
                timeout=timeout,
                cache=Path(image_cache(".")),
            ),
        )
    except (SlipwayError, SiteError) as error:
        raise UsageError(str(error)) from None
    print(as_document(image, findings) if as_json else as_text(image, findings))
    return 1 if broken(findings) else 0


def broken(findings: Findings) -> int:
    """Return the number of broken lines."""
    return sum(finding.state is State.BROKEN for finding in findings.values())


def as_text(image: str, findings: Findings) -> str:
    """Return the findings for people."""
    count = broken(findings)
    summary = f"{count} of its lines broken" if count else "all that can be seen is kept"
    only_hosts = [] if count else ["", "Only a host shows:", *(f"  {line}" for line in ONLY_HOSTS)]
    return "\n".join([table(findings), *only_hosts, "", f"{image} and the contract: {summary}"])


def as_document(image: str, findings: Findings) -> str:
    """Return the findings for a program."""
    lines = {name: {"state": finding.state.value, "why": finding.why} for name, finding in findings.items()}
    return json.dumps({"image": image, "broken": broken(findings), "lines": lines})
