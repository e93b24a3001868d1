"""The command of backups on a host, for root: /usr/local/lib/slipway/backup."""

import argparse
import os
import sys
from collections.abc import Sequence

from slipway.backup import archiving, create, restore, verify
from slipway.backup.restic import Repository
from slipway.backup.settings import BackupError, Settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command. Returns 0, or 1 when it failed."""
    options = _parser().parse_args(arguments)
    os.umask(0o077)
    if os.geteuid() != 0:
        print("backup: it runs as root: type sudo before it", file=sys.stderr)
        return 2
    try:
        match options.command:
            case "create":
                create.run(options.kind)
            case "verify":
                verify.run()
            case "restore":
                restore.run(
                    options.snapshot,
                    options.at,
                    replace=options.replace,
                    migrate=options.migrate,
                    if_any=options.if_any,
                )
            case "migrate":
                restore.run_migrations()
            case "wal":
                archiving.run()
            case "prepare":
                repository = Repository(Settings.load())
                if not repository.exists():
                    repository.create()
                    print(f"created {repository.settings.repository}")
            case _:
                command, environment = Repository(Settings.load()).command(*options.words)
                os.execvpe(command[0], command, environment["env"])
    except (BackupError, OSError) as error:
        print(f"backup: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="backup", description="Backups of this host.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    command = commands.add_parser("create", help="make a backup now")
    command.add_argument("kind", nargs="?", default=create.MANUAL)
    commands.add_parser("verify", help="restore the newest one into scratch databases, and compare the rows")
    command = commands.add_parser("restore", help="bring the data of a snapshot back: `slipway restore` does it")
    command.add_argument("--snapshot", default="", metavar="ID", help="this one (default: the newest)")
    command.add_argument("--at", default="", metavar="TIME", help="PostgreSQL as it was then, where WAL is archived")
    command.add_argument("--replace", action="store_true", help="also where this host has data; they are kept aside")
    command.add_argument("--migrate", action="store_true", help="run the live release's migrations then")
    command.add_argument("--if-any", action="store_true", help="succeed where there is no backup of this host")
    commands.add_parser("migrate", help="run the live release's migrations: after a restore of the data host")
    commands.add_parser("wal", help="copy archived WAL to the repository: backup@wal.service does it")
    commands.add_parser("prepare", help="create the repository where there is none")
    command = commands.add_parser("restic", help="run restic with this host's repository: backup restic snapshots")
    command.add_argument("words", nargs=argparse.REMAINDER)
    return parser


if __name__ == "__main__":
    sys.exit(main())
