"""The command `slipway` on a data host of its own: for every login, without sudo."""

import argparse
import json
import sys
from collections.abc import Sequence

from slipway import __version__
from slipway.data_host.host import DataHost
from slipway.data_host.status import status, text
from slipway.engine.terminal import printable
from slipway.model.data_host import DataSettings
from slipway.model.errors import SlipwayError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command. Returns 0, or 1 when it failed."""
    options = _parser().parse_args(arguments)
    if options.command == "version":
        print(__version__)
        return 0
    try:
        values = status(DataHost(DataSettings.load()))
    except (SlipwayError, OSError) as error:
        print(printable(f"slipway: {error}"), file=sys.stderr)
        return 1
    print(printable(json.dumps(values) if options.json else text(values)))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="slipway", description="This data host. It has no releases.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("version", help="the version of Slipway on this host")
    command = commands.add_parser("status", help="PostgreSQL, the broker, backups, the disk, and what is wrong")
    command.add_argument("--json", action="store_true", help="as one JSON document")
    return parser
