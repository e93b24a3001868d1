"""The command `slipway` on the host."""

import argparse
import json
import os
import pwd
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from slipway import __version__
from slipway.engine import (
    audit,
    clean,
    client,
    deploy,
    maintenance,
    migrations,
    oneoff,
    restart,
    room,
    scale,
    seal,
    ship,
)
from slipway.engine.host import Host
from slipway.engine.recover import mend, mend_killed
from slipway.engine.releases import SHORT_OF_ROOM, Releases
from slipway.engine.status import status, text
from slipway.engine.terminal import printable
from slipway.model.errors import SlipwayError, UsageError
from slipway.model.maintenance import MESSAGE
from slipway.model.manifest import Manifest
from slipway.model.names import check_release
from slipway.model.period import Period
from slipway.model.record import Request
from slipway.model.scale import workers
from slipway.model.site import Site
from slipway.model.states import Kind
from slipway.report.report import report

ROOT_ONLY = {"shell", "clean"}
READ_ONLY = {"status", "report", "logs"} | ROOT_ONLY
"""Commands that root may give: root never writes where `deploy` may, but to clean up after it."""
SEALERS = {"seal", "remove", "adopt"}
"""Commands of the user who owns the sealed releases, given by units and by provisioning."""
DEPLOYER, SEALER = "deploy", "sealer"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command. Returns 0, or 1 when it failed, 2 when it could never work, 130 when it was interrupted."""
    options = _parser().parse_args(arguments)
    os.umask(0o022)  # the app's own user reads what is written here, whatever the login's umask is
    if options.command == "version":
        print(__version__)  # also on a host whose provisioning is not complete
        return 0
    try:
        if options.command in SEALERS:
            return _seal(Releases(), options)  # on a new host there is no site yet
        host = Host(Site.load())
        _check_user(host.releases.root, options.command)
        if getattr(options, "release", None):
            check_release(options.release)
        run: Callable[[Host, argparse.Namespace], int | None] = options.run
        return run(host, options) or 0
    except UsageError as error:
        _say(f"slipway: {error}", sys.stderr)
        return 2
    except (SlipwayError, OSError) as error:
        advice = ": run it as the user `deploy`" if isinstance(error, PermissionError) else ""
        if isinstance(error, OSError) and error.errno in SHORT_OF_ROOM:
            advice = f": {room.ADVICE}"
        _say(f"slipway: {error}{advice}", sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("slipway: stopped following; the activation goes on. `slipway status` shows its result.", file=sys.stderr)
        return 130


def _check_user(root: Path, command: str) -> None:
    if not root.exists():
        raise SlipwayError(
            f"{root} does not exist: this host is not provisioned. Run `ansible-playbook site.yml` for it."
        )
    user = os.geteuid()
    if user != 0 and command in ROOT_ONLY:
        raise UsageError(f"`slipway {command}` is for people with sudo: type `sudo slipway {command}`")
    wanted = SEALER if command in SEALERS else DEPLOYER
    if user == _number(wanted) or (user == 0 and command in READ_ONLY):
        return
    raise UsageError(
        f"`slipway {command}` runs as {wanted}, not as {_name(user)}: "
        f"type `sudo -u {wanted} slipway {command}`, or log in as {wanted}."
    )


def _number(name: str) -> int:
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        raise SlipwayError(
            f"there is no user {name}: this host is not provisioned. Run `ansible-playbook site.yml`"
        ) from None


def _name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)


def _say(message: str, stream: TextIO | None = None) -> None:
    print(printable(message), file=stream)


def _status(host: Host, options: argparse.Namespace) -> None:
    values = status(host)
    _say(json.dumps(values) if options.json else text(values))


def _report(host: Host, options: argparse.Namespace) -> None:
    print(json.dumps(report(host, Period(options.since)), separators=(",", ":")))


def _ship_begin(host: Host, options: argparse.Namespace) -> None:
    print(json.dumps(ship.begin(host, options.release, Manifest.parse(sys.stdin.read()), force=options.force)))


def _ship_end(host: Host, options: argparse.Namespace) -> None:
    ship.end(host, options.release)


def _ship_cancel(host: Host, options: argparse.Namespace) -> None:
    ship.cancel(host, options.release)


def _seal(releases: Releases, options: argparse.Namespace) -> int:
    _check_user(releases.root, options.command)
    if options.command == "adopt":
        print("\n".join(seal.adopt(releases)))
    elif options.command == "seal":
        seal.seal(releases, options.release)
    else:
        seal.remove(releases, options.release)
    return 0


def _activate(host: Host, options: argparse.Namespace) -> None:
    request = Request(
        Kind.DEPLOY,
        options.by,
        lock_wait=options.lock_wait,
        hold=options.hold,
        migrate=options.migrate,
        backup=options.backup,
        watch=options.watch,
    )
    client.request(host, options.release, request)
    if not options.no_wait:
        _say(client.summary(client.wait(host, options.release, "done")))


def _wait(host: Host, options: argparse.Namespace) -> None:
    _say(client.summary(client.wait(host, options.release, options.until)))


def _confirm(host: Host, options: argparse.Namespace) -> None:
    client.confirm(host, options.release)


def _abort(host: Host, options: argparse.Namespace) -> None:
    _say(client.abort(host, options.release, options.by, options.reason))


def _rollback(host: Host, options: argparse.Namespace) -> None:
    target = options.release or host.releases.rollback_target()
    if target is None:
        raise SlipwayError(
            "there is no earlier healthy release on this host to roll back to: deploy a release that works"
        )
    if not host.releases.record(target).was_healthy:
        raise SlipwayError(f"{target} was never healthy, so a rollback does not go there: deploy it instead")
    with suppress(SlipwayError, OSError, ValueError, LookupError, TypeError):  # what matters is the rollback
        if left := migrations.left_by_rollback(host, target):
            _say(f"slipway: {left}", sys.stderr)
    if given_up := "; ".join(room.make(host, target)):
        _say(f"slipway: the disk is full: {given_up}", sys.stderr)
        with suppress(OSError):  # what matters is the rollback
            audit.write(host, "room", by=options.by, command=[given_up], ended="done")
    client.request(host, target, Request(Kind.ROLLBACK, options.by, lock_wait=options.lock_wait))
    if options.no_wait:
        print(target)
        return
    record = client.wait(host, target, "live")
    _say(f"{client.summary(record)}; the release before it finishes its requests and stops")


def _recover(host: Host, options: argparse.Namespace) -> None:
    by = client.caller()
    mended = mend_killed(host, options.release, by) if options.release else mend(host, by, boot=options.boot)
    _say("\n".join(mended) or "the host agrees with the live release: nothing to mend")


def _maintenance(host: Host, options: argparse.Namespace) -> None:
    root = host.releases.root
    if options.state == "on":
        values = maintenance.switch_on(root, options.message, options.by)
        _say(f"maintenance is on since {values['since']}: clients get 503 with {values['message']!r}")
    else:
        if options.message != MESSAGE:
            raise UsageError("--message is shown while maintenance is on: type `slipway maintenance off` without it")
        print("maintenance is off" if maintenance.switch_off(root) else "maintenance was not on")
    with suppress(OSError):  # a full disk keeps nobody from it
        audit.write(host, "maintenance", by=options.by, command=[options.state], ended="done")


def _scale(host: Host, options: argparse.Namespace) -> None:
    count = workers(options.words)
    release = scale.scale(host, count, options.by)
    with suppress(OSError):  # a full disk keeps nobody from it
        audit.write(host, "scale", by=options.by, command=[options.words], ended="done")
    what = (
        f"{count} workers until the next deploy or reboot" if count else "the number of workers that provisioning gave"
    )
    print(f"{release} has {what}")


def _restart(host: Host, options: argparse.Namespace) -> None:
    ended = "failed"
    try:
        release = restart.restart(host, options.by)
        ended = "done"
    finally:
        with suppress(OSError):  # a full disk keeps nobody from it
            audit.write(host, "restart", by=options.by, ended=ended)
    print(f"{release} is restarted")


def _run(host: Host, options: argparse.Namespace) -> int:
    return oneoff.run(host, options.argv, options.by, options.timeout)


def _logs(host: Host, options: argparse.Namespace) -> int:
    return oneoff.logs(host, options.release, options.process, options.follow, options.lines)


def _job(host: Host, options: argparse.Namespace) -> None:
    oneoff.job(host, options.name)


def _shell(host: Host, _options: argparse.Namespace) -> None:
    oneoff.shell(host)


def _clean(host: Host, _options: argparse.Namespace) -> None:
    _say("\n".join(clean.clean(host)))
    print("Deploy now: only then it is sure what is live, and there is a release to roll back to.")


def _engine(host: Host, options: argparse.Namespace) -> None:
    deploy.activate(host, options.release)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="slipway", description="Releases of the app on this host.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, run: Callable[[Host, argparse.Namespace], int | None], text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(run=run)
        return command

    commands.add_parser("version", help="the version of Slipway on this host")
    command = add("status", _status, "the live release, since when and by whom, and the releases that are kept")
    command.add_argument("--json", action="store_true", help="as one JSON document")
    command = add("report", _report, "the last day or week as JSON, which `slipway report` on a laptop draws")
    command.add_argument("--since", choices=[*Period], default=Period.DAY, help="the time to report (default 1d)")
    command = add("rollback", _rollback, "return to the last healthy release, or to the one named")
    command.add_argument("release", nargs="?")
    _request_options(command)
    command = add("activate", _activate, "make a shipped release live")
    command.add_argument("release")
    _request_options(command)
    command.add_argument("--hold", type=int, metavar="SECONDS", default=0, help="wait to be confirmed")
    command.add_argument("--no-watch", dest="watch", action="store_false", help="do not compare it with the live one")
    command.add_argument("--no-migrate", dest="migrate", action="store_false", help="another host runs the migrations")
    command.add_argument("--no-backup", dest="backup", action="store_false", help="migrate without a backup before")
    command = add("confirm", _confirm, "let a release that is held stay")
    command.add_argument("release")
    command = add("abort", _abort, "end the deploy of a release, however far it came, and return to the one before")
    command.add_argument("release")
    command.add_argument("--by", default=client.caller(), help="who runs the command, for the record")
    command.add_argument("--reason", default="`slipway abort` was run", help="why, for the record")
    command = add("wait", _wait, "wait until an activation has reached a milestone; on failure print its cause")
    command.add_argument("release")
    command.add_argument("--for", dest="until", choices=tuple(client.REACHED), default="done")
    command = add("maintenance", _maintenance, "answer clients with 503 and a message, or with the app again")
    command.add_argument("state", choices=("on", "off"))
    command.add_argument("--message", default=MESSAGE, help="what clients read, one line of plain text")
    command.add_argument("--by", default=client.caller(), help="who runs the command, for the record")
    command = add("scale", _scale, "run the live release with another number of web workers until the next deploy")
    command.add_argument("words", metavar="workers=N", help="a number, or `default` for that of provisioning")
    command.add_argument("--by", default=client.caller(), help="who runs the command, for the record")
    command = add("restart", _restart, "restart the live release: requests wait meanwhile")
    command.add_argument("--by", default=client.caller(), help="who runs the command, for the record")
    command = add("logs", _logs, "the log of the live release, or of the one named")
    command.add_argument("-f", "--follow", action="store_true", help="go on as more comes")
    command.add_argument("-n", "--lines", type=int, default=100, help="how many to begin with (default 100)")
    command.add_argument("--release", help="another release")
    command.add_argument("--process", help="one process of the Procfile, or `web` (default all)")
    command = add("job", _job, "run one of app_jobs now, as its timer does, and wait for its end")
    command.add_argument("name")
    command = add("run", _run, "run a one-off command in the live release: its files, sandbox, user and secrets")
    command.add_argument("--timeout", type=float, default=3600, help="seconds after which it is stopped (default 3600)")
    command.add_argument("--by", default=client.caller(), help="who runs the command, for the record")
    command.add_argument("argv", nargs="*", metavar="-- COMMAND", help="the command and its arguments")
    add("shell", _shell, "a shell in the live release, as the app's user (for people with sudo)")
    add("clean", _clean, "after a deploy key was stolen: remove what it could have left (for people with sudo)")
    command = add("recover", _recover, "make the host agree with the live release (at boot, or after a crash)")
    command.add_argument("--boot", action="store_true", help="do not wait for the units that are started")
    command.add_argument("--killed", dest="release", metavar="RELEASE", help="the engine of this release was killed")
    command = add("ship-begin", _ship_begin, "make room for a release (its manifest on standard input)")
    command.add_argument("release")
    command.add_argument("--force", action="store_true", help="even if the live release has the same record")
    command = add("ship-cancel", _ship_cancel, "remove the files of a release that will not be completed")
    command.add_argument("release")
    command = add("ship-end", _ship_end, "complete a release whose files have arrived")
    command.add_argument("release")
    command = commands.add_parser("seal", help="make a shipped release's files unchangeable; seal@.service does this")
    command.add_argument("release")
    command = commands.add_parser("remove", help="remove a release's files; remove@.service does this")
    command.add_argument("release")
    commands.add_parser("adopt", help="seal what earlier versions received; provisioning does this")
    command = add("engine", _engine, "run an activation in the foreground; deploy@.service does this")
    command.add_argument("release")
    return parser


def _request_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--by", default=client.caller(), help="who runs the command, for the record")
    command.add_argument("--lock-wait", type=int, metavar="SECONDS", default=0, help="queue behind another activation")
    command.add_argument("--no-wait", action="store_true", help="return when it has begun; see `slipway wait`")
