"""The verbs that a host answers: its own command `slipway`, over SSH."""

import json
import shlex
import subprocess
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from slipway.controller import host_status, inventory
from slipway.controller.cli.options import LOCAL, AsJson, Environment, OneHost, Verbose, verify_answered
from slipway.controller.kubernetes import environment as kubernetes
from slipway.controller.kubernetes import status as kubernetes_status
from slipway.controller.kubernetes.logs import logs as kubernetes_logs
from slipway.controller.kubernetes.restart import restart as kubernetes_restart
from slipway.controller.kubernetes.unsupported import refuse
from slipway.controller.page.report import page
from slipway.controller.playbook import Playbook, sources
from slipway.controller.project import Project
from slipway.model.errors import SlipwayError, UsageError
from slipway.model.maintenance import MESSAGE, check
from slipway.model.period import Period
from slipway.model.scale import workers

PROGRAM = "/usr/local/lib/slipway/backup"
REPORT_SECONDS = 300
"""A million requests are counted in less than one minute."""
REFUSED = "Permission denied"
"""What ssh says where the login is not among the host's."""
NO_BACKUPS = "this host has no backups. Set backup_repository and backup_password, then slipway provision"


def _hosts(environment: str, name: str, verb: str) -> inventory.Hosts:
    project = Project.find(Path.cwd())
    refuse(project, environment, verb)
    verify_answered(project, environment)
    return inventory.chosen(inventory.read(sources(project, environment)), name)


def _first(environment: str, name: str, verb: str) -> tuple[str, dict[str, Any]]:
    """Return the host for a command that runs once: the named host, or the first."""
    return next(iter(_hosts(environment, name, verb).items()))


def status(
    context: typer.Context,
    environment: Environment = LOCAL,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Show the live release, who deployed it and when, and the releases that are kept.

    Of a data host of its own: PostgreSQL, broker, backups, disk and problems, for those whose login provisions.
    """
    project = Project.find(Path.cwd())
    if cluster := kubernetes.read(project, environment):
        values = kubernetes_status.read(cluster, verbose=verbose)
        print(json.dumps({cluster.name: values}) if as_json else kubernetes_status.text(values))
        return
    if not as_json:
        if not context.obj:
            verify_answered(project, environment)
        playbook = Playbook("status", "status.yml", project, environment, context.obj)
        raise typer.Exit(0 if playbook.run(verbose=verbose, tells_phases=False) else 1)
    verify_answered(project, environment)
    hosts = inventory.with_data(sources(project, environment))
    with ThreadPoolExecutor() as pool:
        answers = dict(zip(hosts, pool.map(lambda each: _ask(*each), hosts.items()), strict=True))
    print(json.dumps(answers))
    if any("error" in answer for answer in answers.values()):
        raise typer.Exit(1)


def _ask(name: str, values: dict[str, Any]) -> dict[str, Any]:
    """Return one host's status, or why there is none. A data host that refuses the login is no error: see `status`."""
    user = "deploy" if values["app"] else inventory.admin(values)
    try:
        return host_status.ask(inventory.ssh(name, values, user))
    except SlipwayError as error:
        is_refused = not values["app"] and REFUSED in str(error)
        return {"state": "unknown", "cause": str(error)} if is_refused else {"error": str(error)}


def report(
    environment: Environment = LOCAL,
    since: Annotated[Period, typer.Option("--since", help="The last day, or the last week.")] = Period.DAY,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="The page (default: report-ENVIRONMENT.html).")
    ] = None,
    host: OneHost = "",
) -> None:
    """Draw a host's last day or week: requests, failures, response times, deploys, restarts, memory and disk.

    One HTML page that loads nothing, from nginx's log and the audit. The host counts; addresses and queries stay there.
    """
    file = output or Path(f"report-{environment}.html")
    if file.is_dir() or not file.absolute().parent.is_dir():
        raise UsageError(f"--output {file} is a folder or is in none. Name a file, as --output report.html")
    hosts = _hosts(environment, host, "report")
    with ThreadPoolExecutor() as pool:
        told = pool.map(lambda name: _report(name, hosts[name], since, environment), hosts)
        answers = dict(zip(hosts, told, strict=True))
    file.write_text(page(environment, since, answers), encoding="utf-8")
    print(f"Page: {file.absolute()}")


def _report(name: str, values: dict[str, Any], since: Period, environment: str) -> dict[str, Any]:
    ssh = inventory.ssh(name, values, "deploy")
    try:
        return host_status.ask_for(f"slipway report --since={since}", ssh, timeout=REPORT_SECONDS)
    except host_status.NoStatusError as error:
        if "invalid choice: 'report'" in str(error):
            raise SlipwayError(f"{name}: its engine has no report yet. Type: slipway provision {environment}") from None
        raise SlipwayError(f"{name}: {error}") from None


def logs(
    environment: Environment = LOCAL,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Print new lines as they come.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="The number of lines to begin with.")] = 100,
    release: Annotated[str, typer.Option("--release", metavar="NAME", help="Another release than the live one.")] = "",
    process: Annotated[
        str,
        typer.Option(
            "--process", metavar="NAME", help="A process of the Procfile; web is the web server (default: all)."
        ),
    ] = "",
    host: OneHost = "",
    verbose: Verbose = False,
) -> None:
    """Print the app's log."""
    if cluster := kubernetes.read(Project.find(Path.cwd()), environment):
        if host:
            raise UsageError(f"{environment} is Kubernetes and has no hosts. Leave --host out")
        ended = kubernetes_logs(cluster, lines=lines, follow=follow, release=release, process=process, verbose=verbose)
        raise typer.Exit(1 if ended else 0)
    hosts = _hosts(environment, host, "logs")
    if follow and len(hosts) > 1:
        raise UsageError(f"--follow shows one host, and {environment} has {', '.join(hosts)}. Name one: --host NAME")
    command = ["slipway", "logs", f"--lines={lines}", *(["--follow"] if follow else [])]
    command += [f"--release={release}"] if release else []
    command += [f"--process={process}"] if process else []
    failed = 0
    for name, values in hosts.items():
        if len(hosts) > 1:
            print(f"== {name}", flush=True)
        failed |= _ssh(inventory.ssh(name, values, "deploy"), command, verbose=verbose)
    raise typer.Exit(1 if failed else 0)


def run(
    context: typer.Context,
    environment: Environment = LOCAL,
    timeout: Annotated[float, typer.Option("--timeout", help="Seconds after which it is stopped.")] = 3600,
    host: OneHost = "",
    verbose: Verbose = False,
) -> None:
    """Run the command after -- in the live release.

    As: slipway run production -- python -m app.report

    It has the release's files, its sandbox, user and secrets. The exit status is the command's own.
    """
    if not context.obj:
        raise UsageError(f"No command to run. Write it behind --: slipway run {environment} -- python -m app.report")
    name, values = _first(environment, host, "run")
    command = ["slipway", "run", f"--timeout={timeout}", "--", *context.obj]
    raise typer.Exit(_ssh(inventory.ssh(name, values, "deploy"), command, verbose=verbose))


class Switch(StrEnum):
    """Whether maintenance is to be on."""

    ON = "on"
    OFF = "off"


def maintenance(
    switch: Annotated[Switch, typer.Argument(help="on: clients get 503; off: they get the app again.")],
    environment: Environment = LOCAL,
    message: Annotated[
        str, typer.Option("--message", "-m", metavar="TEXT", help="What clients read: one line of plain text.")
    ] = MESSAGE,
    verbose: Verbose = False,
) -> None:
    """Answer with 503 and a message, through deploys and reboots, until it is off again.

    Health checks, deploys and nginx_maintenance_addresses still reach the app.
    """
    if switch is Switch.ON:
        check(message)
    # With `off` the host refuses a message.
    words = [f"--message={message}"] if switch is Switch.ON or message != MESSAGE else []
    command = ["slipway", "maintenance", switch.value, *words]
    failed = 0
    for name, values in _hosts(environment, "", "maintenance").items():
        print(f"{name}: ", end="", flush=True)
        failed |= _ssh(inventory.ssh(name, values, "deploy"), command, verbose=verbose)
    raise typer.Exit(1 if failed else 0)


def scale(
    words: Annotated[str, typer.Argument(metavar="workers=N", help="A number, or default for that of provisioning.")],
    environment: Environment = LOCAL,
    host: OneHost = "",
    verbose: Verbose = False,
) -> None:
    """Run the live release with another number of web workers, until the next deploy or reboot.

    Requests wait while its server restarts. For good: app_workers, then slipway provision.
    """
    workers(words)
    failed = 0
    for name, values in _hosts(environment, host, "scale").items():
        print(f"{name}: ", end="", flush=True)
        failed |= _ssh(inventory.ssh(name, values, "deploy"), ["slipway", "scale", words], verbose=verbose)
    raise typer.Exit(1 if failed else 0)


def restart(environment: Environment = LOCAL, host: OneHost = "", verbose: Verbose = False) -> None:
    """Restart the live release: web server, then the other processes, host by host. Requests wait and none fails.

    As for a setting that the app reads once, or memory that it does not give back. Refused during a deploy.
    """
    if cluster := kubernetes.read(Project.find(Path.cwd()), environment):
        if host:
            raise UsageError(f"{environment} is Kubernetes and has no hosts. Leave --host out")
        kubernetes_restart(cluster, verbose=verbose)
        return
    hosts = _hosts(environment, host, "restart")
    for number, (name, values) in enumerate(hosts.items()):
        print(f"{name}: ", end="", flush=True)
        if _ssh(inventory.ssh(name, values, "deploy"), ["slipway", "restart"], verbose=verbose):
            left = list(hosts)[number + 1 :]
            after = f" Not restarted: {', '.join(left)}." if left else ""
            raise SlipwayError(
                f"{name} was not restarted; the cause is above.{after} Type: slipway status {environment}"
            )


def shell(environment: Environment = LOCAL, host: OneHost = "", verbose: Verbose = False) -> None:
    """Open a shell in the live release, as the app's user. It needs the login that provisions the host."""
    name, values = _first(environment, host, "shell")
    user = inventory.admin(values)
    command = ["slipway", "shell"] if user == "root" else ["sudo", "slipway", "shell"]
    raise typer.Exit(_ssh(inventory.ssh(name, values, user, "-t"), command, verbose=verbose))


def restore(
    environment: Environment,
    snapshot: Annotated[str, typer.Option("--snapshot", metavar="ID", help="This snapshot, not the newest.")] = "",
    at: Annotated[
        str, typer.Option("--at", metavar="TIME", help="PostgreSQL as it was then: 2026-11-29T14:05:30, in UTC.")
    ] = "",
    replace: Annotated[
        bool, typer.Option("--replace", help="Also where a host has data. They are kept aside on the host.")
    ] = False,
    migrate: Annotated[
        bool,
        typer.Option("--migrate/--no-migrate", help="Run the live release's migrations then. No: a rollback follows."),
    ] = True,
    host: OneHost = "",
    verbose: Verbose = False,
) -> None:
    """Bring the data of a backup back, on the host that they are of or on a new machine after `slipway provision`.

    It needs the login that provisions the hosts. What was written after the backup is lost,
    unless PostgreSQL's WAL is archived (backup_wal_seconds).
    """
    project = Project.find(Path.cwd())
    refuse(project, environment, "restore")
    verify_answered(project, environment)
    every = inventory.with_data(sources(project, environment))
    migrates = next(name for name, values in every.items() if values["app"])
    hosts = inventory.chosen(every, host)
    if snapshot and len(hosts) > 1:
        rule = f"A snapshot is of one host, and {environment} has {', '.join(hosts)}."
        raise UsageError(f"--snapshot {snapshot}: {rule} Name the host: --host {next(iter(hosts))}")
    options = [f"--snapshot={snapshot}"] * bool(snapshot) + [f"--at={at}"] * bool(at) + ["--replace"] * replace
    alone = not next(iter(hosts.values()))["app"]
    for number, (name, values) in enumerate(hosts.items()):
        words = ["restore", *options, *["--migrate"] * (migrate and name == migrates)]
        # An app host whose data are all on the data host has no backup.
        words += ["--if-any"] * (alone and values["app"])
        if _backup(name, values, words, verbose=verbose):
            before = f" Restored before: {', '.join(list(hosts)[:number])}." if number else ""
            one = f"One host: slipway restore {environment} --host NAME"
            raise SlipwayError(f"{name} was not restored; the cause is above.{before} {one}")
    # The data host's migrations are run where the app is, which keeps its files.
    apart = migrate and not any(values["app"] for values in hosts.values())
    if apart and _backup(migrates, every[migrates], ["migrate"], verbose=verbose):
        raise SlipwayError(f"{host} has its data, and {migrates} did not migrate them; the cause is above.")


def _backup(name: str, values: dict[str, Any], words: list[str], *, verbose: bool) -> int:
    """Run the command of backups on a host, as root. Returns its exit status."""
    user = inventory.admin(values)
    command = shlex.join([*(["sudo"] if user != "root" else []), PROGRAM, *words])
    script = f"[ -x {PROGRAM} ] || {{ echo 'error: {NO_BACKUPS}' >&2; exit 1; }}; exec {command}"
    print(f"== {name}", flush=True)
    return _ssh(inventory.ssh(name, values, user), ["sh", "-c", script], verbose=verbose)


def _ssh(connection: list[str], command: list[str], *, verbose: bool) -> int:
    """Run a command on a host. Returns its exit status.

    Raises:
        SlipwayError: the host cannot be reached; ssh has printed why.
    """
    words = [*connection, shlex.join(command)]
    if verbose:
        print(shlex.join(words), flush=True)
    status = subprocess.run(words, check=False).returncode
    if status == 255:  # ssh itself
        raise SlipwayError(f"The host cannot be reached as {connection[-1]}. Try: {shlex.join(connection)}")
    return status
