"""The verbs that set up, and tell about, Slipway itself."""

import json
import sys
from importlib.metadata import version as distribution_version
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.prompt import Prompt

from slipway import __version__
from slipway.controller import origin
from slipway.controller.cli.options import AsJson, Environment, environments
from slipway.controller.doctor.finding import as_document, as_text, is_healthy
from slipway.controller.doctor.run import run as examine
from slipway.controller.github import SetupError
from slipway.controller.github.setup import set_up
from slipway.controller.init import Question, Source
from slipway.controller.init import run as run_init
from slipway.controller.kubernetes.unsupported import refuse
from slipway.controller.project import Project
from slipway.controller.upgrade.run import plan as plan_upgrade
from slipway.model.errors import SlipwayError


def github(
    environment: Environment,
    rotate: Annotated[
        bool, typer.Option("--rotate", help="Create new keys in place of those that GitHub has.")
    ] = False,
) -> None:
    """Give GitHub the keys and names that its workflows need to deploy to an environment.

    With `gh` it sets secrets and variables; without, it prints what to paste where. A second run changes nothing.
    """
    refuse(Project.find(Path.cwd()), environment, "github")
    try:
        raise typer.Exit(set_up(Project.find(Path.cwd()), environment, rotate=rotate))
    except SetupError as error:
        raise SlipwayError(str(error)) from None


def version(as_json: AsJson = False) -> None:
    """Print the version of Slipway, and of the Ansible that it runs."""
    versions = {"slipway": __version__, "ansible-core": distribution_version("ansible-core")}
    print(json.dumps(versions) if as_json else "\n".join(f"{name} {number}" for name, number in versions.items()))


def upgrade(
    check: Annotated[bool, typer.Option("--check", help="Write nothing: print what would change, as a diff.")] = False,
) -> None:
    """Move this project to the version of this tool: the commit that its workflows call, and renamed variables.

    Prints what changed between the two versions, and what to type next.
    """
    result = plan_upgrade(Project.find(Path.cwd()), origin.installed(), is_look=check)
    if check:
        print("".join(file.diff() for file in result.changed) or f"{next(result.lines())}\n", end="")
        return
    for file in result.changed:
        file.write()
    print("\n".join(result.lines()))


def doctor(
    environment: Annotated[
        str, typer.Argument(help="A folder of deploy/: look at its hosts as well.", autocompletion=environments)
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Say what is missing or wrong on this machine and, with an environment, on its hosts and the way there.

    Nothing is changed. Exit status: 0 nothing is wrong, 1 something is.
    """
    if environment in environments():
        refuse(Project.find(Path.cwd()), environment, "doctor")
    findings = list(examine(Path.cwd(), environment))
    print(json.dumps(as_document(findings)) if as_json else as_text(findings))
    raise typer.Exit(0 if is_healthy(findings) else 1)


def init(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing: take the default of each question.")] = False,
    source: Annotated[
        str,
        typer.Option(
            "--source",
            metavar="OWNER/REPOSITORY@COMMIT",
            help="The Slipway whose workflows are called (default: that of the workflows, else that of this tool).",
        ),
    ] = "",
) -> None:
    """Write what deploys the app of this folder: deploy/, workflows, and a Dockerfile if there is none.

    Files that are there already stay as they are.
    """
    # Nobody answers in CI or in a pipe.
    asks = not yes and sys.stdin.isatty()
    named = Source.typed(source) if source else None
    result = run_init(Path.cwd(), ask=_ask if asks else None, source=named)
    print("\n".join(result.lines()))


def _ask(question: Question) -> str:
    """Put a question to the person at the terminal."""
    choices = list(question.choices) or None
    return Prompt.ask(escape(question.text), default=question.default, choices=choices)
