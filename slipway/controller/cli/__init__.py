"""The command `slipway` on a laptop and in CI. On a host there is another one of that name (slipway.engine.cli)."""

import sys
from collections.abc import Callable, Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from slipway.controller.cli import deploys, hosts, images, pipeline, setup
from slipway.controller.cli.other_tools import Verbs
from slipway.model.errors import SlipwayError, UsageError

EPILOG = (
    "An environment is a folder of deploy/ that has Ansible's hosts.yml; [bold]local[/] is the host of `slipway up`. "
    "What follows -- goes to ansible-playbook: slipway deploy production -- -e release_force=true\n\n"
    "Exit status: 0 done, 1 failed, 2 called in a way that cannot work."
)

app = typer.Typer(
    name="slipway",
    cls=Verbs,
    help="Deploy the image of a FastAPI app to your own Debian or Ubuntu machines, without a failed request.",
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        setup.version()
        raise typer.Exit


LOCAL = "On this machine"
HOSTS = "On your hosts"
OTHER = "Set up"

VERBS: dict[str, dict[str, Callable[..., None]]] = {
    LOCAL: {"up": deploys.up, "down": deploys.down, "check": images.check},
    HOSTS: {
        "provision": deploys.provision,
        "deploy": deploys.deploy,
        "rollback": deploys.rollback,
        "restart": hosts.restart,
        "status": hosts.status,
        "report": hosts.report,
        "logs": hosts.logs,
        "run": hosts.run,
        "shell": hosts.shell,
        "maintenance": hosts.maintenance,
        "scale": hosts.scale,
        "restore": hosts.restore,
    },
    OTHER: {
        "init": setup.init,
        "doctor": setup.doctor,
        "github": setup.github,
        "upgrade": setup.upgrade,
        "version": setup.version,
    },
}

for panel, verbs in VERBS.items():
    for verb, function in verbs.items():
        app.command(verb, rich_help_panel=panel)(function)

app.add_typer(
    pipeline.app,
    name="pipeline",
    help="The steps of the GitHub workflows. Deploying by hand needs none of them.",
    rich_help_panel=OTHER,
)


@app.callback()
def _options(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="The same as slipway version.")
    ] = False,
) -> None:
    pass


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a verb, and exit with its status.

    Raises:
        SystemExit: always; 0 done, 1 failed, 2 called in a way that cannot work.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    end = words.index("--") if "--" in words else len(words)
    try:
        app(words[:end], prog_name="slipway", obj=words[end + 1 :])
    except SlipwayError as error:
        Console(stderr=True).print(f"[bold red]error:[/] {escape(str(error))}", soft_wrap=True, highlight=False)
        sys.exit(2 if isinstance(error, UsageError) else 1)
    except KeyboardInterrupt:
        sys.exit(130)
