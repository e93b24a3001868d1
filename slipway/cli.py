"""The command `slipway` on the host."""

import argparse
import json
import os
import pwd
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from slipway import client, deploy, oneoff, ship
from slipway.config import Config
from slipway.errors import SlipwayError, UsageError
from slipway.host import Host
from slipway.recover import mend, mend_killed
from slipway.releases import check_name
from slipway.status import status, text

READ_ONLY = {"status", "logs", "shell"}
"""Commands that root may give as well: root never writes where `deploy` may."""
ROOT_ONLY = {"shell"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command. Returns 0, or 1 when it failed, 2 when it could never work, 130 when it was interrupted."""
    options = _parser().parse_args(arguments)
    os.umask(0o022)  # the app's own user reads what is written here, whatever the login's umask is
    try:
        host = Host(Config.load())
        _check_user(host.releases.root, options.command)
        if getattr(options, "release", None):
            check_name(options.release)
        run: Callable[[Host, argparse.Namespace], int | None] = options.run
        return run(host, options) or 0
    except UsageError as error:
        print(f"slipway: {error}", file=sys.stderr)
        return 2
    except (SlipwayError, OSError) as error:
        advice = ": run it as the user `deploy`" if isinstance(error, PermissionError) else ""
        print(f"slipway: {error}{advice}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(
            "slipway: no longer following; what was begun goes on. `slipway status` tells how it ends.", file=sys.stderr
        )
        return 130


def _check_user(root: Path, command: str) -> None:
    try:
        owner = root.stat().st_uid
    except FileNotFoundError:
        raise SlipwayError(
            f"{root} does not exist: this host is not provisioned. Run `ansible-playbook site.yml` for it."
        ) from None
    user = os.geteuid()
    if user != 0 and command in ROOT_ONLY:
        raise UsageError(f"`slipway {command}` is for people with sudo: type `sudo slipway {command}`")
    if user == owner or (user == 0 and command in READ_ONLY):
        return
    name, wanted = (_name(number) for number in (user, owner))
    raise UsageError(
        f"`slipway {command}` runs as {wanted}, not as {name}: "
        f"type `sudo -u {wanted} slipway {command}`, or log in as {wanted}."
    )


def _name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)


def _status(host: Host, options: argparse.Namespace) -> None:
    values = status(host)
    print(json.dumps(values) if options.json else text(values))


def _ship_begin(host: Host, options: argparse.Namespace) -> None:
    print(json.dumps(ship.begin(host, options.release, ship.Manifest.parse(sys.stdin.read()))))


def _ship_end(host: Host, options: argparse.Namespace) -> None:
    ship.end(host, options.release)


def _ship_cancel(host: Host, options: argparse.Namespace) -> None:
    ship.cancel(host, options.release)


def _activate(host: Host, options: argparse.Namespace) -> None:
    asked = {"lock_wait": options.lock_wait, "hold": options.hold, "migrate": options.migrate, "watch": options.watch}
    client.request(host, options.release, "deploy", options.by, **asked)
    if not options.no_wait:
        print(client.summary(client.wait(host, options.release, "done")))


def _wait(host: Host, options: argparse.Namespace) -> None:
    print(client.summary(client.wait(host, options.release, options.until)))


def _confirm(host: Host, options: argparse.Namespace) -> None:
    client.confirm(host, options.release)


def _abort(host: Host, options: argparse.Namespace) -> None:
    print(client.abort(host, options.release, options.by, options.reason))


def _rollback(host: Host, options: argparse.Namespace) -> None:
    target = options.release or host.releases.rollback_target()
    if target is None:
        raise SlipwayError(
            "there is nothing to go back to: no release before the live one was healthy and is still here"
        )
    if not host.releases.record(target).healthy:
        raise SlipwayError(f"{target} was never healthy, so a rollback does not go there: deploy it instead")
    client.request(host, target, "rollback", options.by, lock_wait=options.lock_wait)
    if options.no_wait:
        print(target)
        return
    record = client.wait(host, target, "live")
    print(f"{client.summary(record)}; the release before it finishes its requests and stops")


def _recover(host: Host, options: argparse.Namespace) -> None:
    by = client.caller()
    mended = mend_killed(host, options.release, by) if options.release else mend(host, by, boot=options.boot)
    print("\n".join(mended) or "everything agrees with what is live: nothing to mend")


def _run(host: Host, options: argparse.Namespace) -> int:
    return oneoff.run(host, options.argv, options.by, options.timeout)


def _logs(host: Host, options: argparse.Namespace) -> None:
    oneoff.logs(host, options.release, options.process, options.follow, options.lines)


def _job(host: Host, options: argparse.Namespace) -> None:
    oneoff.job(host, options.name)


def _shell(host: Host, _options: argparse.Namespace) -> None:
    oneoff.shell(host)


def _engine(host: Host, options: argparse.Namespace) -> None:
    deploy.activate(host, options.release)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="slipway", description="Releases of the app on this host.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, run: Callable[[Host, argparse.Namespace], int | None], text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(run=run)
        return command

    command = add("status", _status, "what is live, since when and by whom, and what is kept")
    command.add_argument("--json", action="store_true", help="as one JSON document")
    command = add("rollback", _rollback, "go back to the last release that was healthy, or to the one named")
    command.add_argument("release", nargs="?")
    _request_options(command)
    command = add("activate", _activate, "make a shipped release live")
    command.add_argument("release")
    _request_options(command)
    command.add_argument("--hold", type=int, metavar="SECONDS", default=0, help="wait to be confirmed")
    command.add_argument("--no-watch", dest="watch", action="store_false", help="do not compare it with the live one")
    command.add_argument("--no-migrate", dest="migrate", action="store_false", help="another host runs the migrations")
    command = add("confirm", _confirm, "let a release that is held stay")
    command.add_argument("release")
    command = add("abort", _abort, "take a release back, however far it came")
    command.add_argument("release")
    command.add_argument("--by", default=client.caller(), help="who asks, for the record")
    command.add_argument("--reason", default="somebody asked for it", help="why, for the record")
    command = add("wait", _wait, "wait until an activation is that far; on failure print its cause")
    command.add_argument("release")
    command.add_argument("--for", dest="until", choices=tuple(client.REACHED), default="done")
    command = add("logs", _logs, "what the live release, or the one named, has logged")
    command.add_argument("-f", "--follow", action="store_true", help="go on as more comes")
    command.add_argument("-n", "--lines", type=int, default=100, help="how many to begin with (default 100)")
    command.add_argument("--release", help="another release")
    command.add_argument("--process", help="one process of the Procfile, or `web` (default all)")
    command = add("job", _job, "run one of app_jobs now, as its timer does, and wait for its end")
    command.add_argument("name")
    command = add("run", _run, "run a one-off command in the live release: its files, sandbox, user and secrets")
    command.add_argument("--timeout", type=float, default=3600, help="seconds after which it is stopped (default 3600)")
    command.add_argument("--by", default=client.caller(), help="who asks, for the record")
    command.add_argument("argv", nargs="*", metavar="-- COMMAND", help="the command and its arguments")
    add("shell", _shell, "a shell in the live release, as the app's user (for people with sudo)")
    command = add("recover", _recover, "make everything agree with what is live (at boot, or after a crash)")
    command.add_argument("--boot", action="store_true", help="do not wait for what is started")
    command.add_argument("--killed", dest="release", metavar="RELEASE", help="the engine of this release was killed")
    command = add("ship-begin", _ship_begin, "make room for a release (its manifest on standard input)")
    command.add_argument("release")
    command = add("ship-cancel", _ship_cancel, "remove what has arrived of a release")
    command.add_argument("release")
    command = add("ship-end", _ship_end, "complete a release whose files have arrived")
    command.add_argument("release")
    command = add("engine", _engine, "run an activation in the foreground; deploy@.service does this")
    command.add_argument("release")
    return parser


def _request_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--by", default=client.caller(), help="who asks, for the record")
    command.add_argument("--lock-wait", type=int, metavar="SECONDS", default=0, help="queue behind another activation")
    command.add_argument("--no-wait", action="store_true", help="return when it has begun; see `slipway wait`")
