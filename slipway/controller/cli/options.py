"""Arguments and options that verbs share."""

from pathlib import Path
from typing import Annotated

import typer

from slipway.controller.init import unanswered
from slipway.controller.project import LOCAL, Project, ProjectError
from slipway.model.errors import UsageError


def environments() -> list[str]:
    """Return the environments of this project, for the shell's completion."""
    try:
        return Project.find(Path.cwd()).environments
    except ProjectError:
        return []


def verify_answered(project: Project, environment: str) -> None:
    """Verify that an environment has no address and key of an example left.

    Raises:
        ProjectError: there is no such environment.
        UsageError: it has one.
    """
    if environment != LOCAL and (left := unanswered(project.environment(environment))):
        raise UsageError(f"{left} is an example that slipway init wrote. Put in your own, then repeat this")


Environment = Annotated[
    str,
    typer.Argument(
        help="A folder of deploy/, as production; local is the host of `slipway up`.",
        autocompletion=environments,
        show_default=True,
    ),
]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Print the command of Ansible, and all of Ansible's output.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
OneHost = Annotated[
    str,
    typer.Option(
        "--host", metavar="NAME", help="This host, by its name in hosts.yml, where the environment has several."
    ),
]

__all__ = ["LOCAL", "AsJson", "Environment", "OneHost", "Verbose", "verify_answered"]
