"""Commands in the live release besides its processes: a one-off command, a job, its logs, and a shell."""

import os
import pwd
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence

from slipway.engine import audit, instances
from slipway.engine.durable import write_atomically
from slipway.engine.errors import SystemdError
from slipway.engine.host import Host
from slipway.engine.systemd import BOTH_JOURNALS, Cursor
from slipway.engine.terminal import printable
from slipway.model.errors import SlipwayError, UsageError

POLL_SECONDS = 0.1
SYNC_SECONDS = 30.0
JOB_SECONDS = 7 * 86400
"""Longer than any job: its own unit stops one that takes too long (app_jobs)."""


def run(host: Host, command: Sequence[str], by: str, timeout: float) -> int:
    """Run a command in the live release and print its output. Returns its exit status.

    It runs as the app's user under the app's sandbox, with its settings and secrets, as `run@<release>.service`: it
    goes on when the connection is lost, and is stopped after `timeout` seconds.

    Raises:
        UsageError: there is no command.
        SlipwayError: nothing is live, another one-off command runs, or it took too long.
    """
    if not command:
        raise UsageError("no command was given: slipway run -- python -m app.something")
    release = live(host)
    unit = f"run@{release}.service"
    if not host.systemd.state(unit).ended:
        raise SlipwayError(f"another one-off command runs in {release}: wait for it, or `systemctl stop {unit}`")
    script = f"#!/bin/sh\n. /.slipway/env\nexec {shlex.join(command)}\n"
    write_atomically(host.releases.command_file(release), script)
    audit.write(host, "run", release=release, by=by, command=list(command))
    cursor = host.systemd.cursor()
    try:
        host.systemd.start(f"command@{release}.service")
        host.systemd.start(unit)
    except SystemdError as error:
        raise SlipwayError(f"the one-off command did not start: {error}") from None
    return _follow(host, unit, cursor, timeout)


def job(host: Host, name: str) -> None:
    """Run a job in the live release, as its timer does, and wait for its end. One at a time, whatever the release.

    Raises:
        UsageError: there is no such job.
        SlipwayError: nothing is live, the live release does not have it, it runs already, or it failed.
    """
    if name not in host.site.jobs:
        raise UsageError(f"there is no job {name!r}; app_jobs has {', '.join(host.site.jobs) or 'none'}")
    release = live(host)
    if not (host.releases.path(release) / ".slipway/jobs" / name).exists():
        raise SlipwayError(f"{release} has no job {name}: it was shipped before the job was in app_jobs. Deploy again")
    if running := [unit for unit in host.systemd.loaded(f"job-{name}@*.service") if not host.systemd.state(unit).ended]:
        raise SlipwayError(f"the job {name} runs already, as {running[0]}: wait for its end, or `systemctl stop` it")
    unit = f"job-{name}@{release}.service"
    try:
        host.systemd.start(unit, timeout=JOB_SECONDS)
    except SystemdError as error:
        shown = f"journalctl {BOTH_JOURNALS} --unit={unit}"
        raise SlipwayError(f"the job {name} failed ({error.summary}): {shown} says why") from None


def _follow(host: Host, unit: str, cursor: Cursor, timeout: float) -> int:
    deadline = time.monotonic() + timeout
    status: int | None = None
    ended = synced = False
    while not ended:
        ended = host.systemd.state(unit).ended
        synced = ended and host.systemd.sync_journals(unit, SYNC_SECONDS)
        entries, cursor = host.systemd.entries_since(unit, cursor)
        for entry in entries:
            if entry.by_unit:
                print(entry.message, flush=True)
            elif entry.exit_status is not None:
                status = entry.exit_status
            elif entry.end and status is None:
                status = 0
        if not ended and time.monotonic() > deadline:
            what = f"the one-off command ran for longer than {timeout:g} s"
            try:
                host.systemd.stop(unit)
            except SystemdError as error:
                raise SlipwayError(f"{what}, and {unit} does not stop: {error}") from None
            raise SlipwayError(f"{what} and was stopped; allow more with --timeout")
        if not ended:
            time.sleep(POLL_SECONDS)
    shown = f"journalctl {BOTH_JOURNALS} --unit={unit}"
    if status is None:
        raise SlipwayError(f"the one-off command ended, and the journal does not say how yet: `{shown}` will")
    if not synced:
        print(f"slipway: the journal is behind: the last lines may be missing; `{shown}` has them", file=sys.stderr)
    return status


def logs(host: Host, release: str | None, process: str | None, follow: bool, lines: int) -> int:
    """Print the log of a release, the live one if none is named, and of all its processes or one.

    Returns journalctl's exit status, or 130 when a person ends it with Ctrl-C.
    """
    release = release or live(host)
    units = instances.services(host, release)
    chosen = [unit for unit in units if process in {None, instances.display_name(unit).partition(".")[0]}]
    if not chosen:
        raise UsageError(
            f"no process {process!r} in {release}; there are {', '.join(map(instances.display_name, units))}"
        )
    options = [BOTH_JOURNALS, "--no-pager", "--output=cat", f"--lines={lines}", *(f"--unit={unit}" for unit in chosen)]
    options += ["--follow"] if follow else []
    if not sys.stdout.isatty():
        os.execvp("journalctl", ["journalctl", *options])
    # In this format journalctl hands on the app's escape sequences.
    with subprocess.Popen(["journalctl", *options], stdout=subprocess.PIPE, text=True, errors="replace") as journal:
        try:
            for line in journal.stdout or ():
                print(printable(line), end="", flush=True)
        except KeyboardInterrupt:  # the terminal sends it to journalctl, too
            return 130
    return journal.returncode


def shell(host: Host) -> None:
    """Become a shell in the live release, for root: the app's user, files and network. Does not return."""
    release = live(host)
    process = host.systemd.main_process(instances.service(release))
    if not process:
        raise SlipwayError(f"app@{release}.service does not run: `slipway status`, then `slipway recover`")
    user = pwd.getpwnam("app")
    # Privilege is dropped by the host's own programs, before the first one of the release runs: that is `deploy`'s.
    enter = ["nsenter", f"--target={process}", "--mount", "--net", "--ipc", "--uts", "--root", "--wdns=/"]
    become = [f"--setgid={user.pw_gid}", f"--setuid={user.pw_uid}"]
    shell = ["/bin/sh", "-c", ". /.slipway/env; exec /bin/sh -i"]
    os.execvp("setpriv", ["setpriv", "--no-new-privs", "--", *enter, *become, "--", *shell])


def live(host: Host) -> str:
    """The live release.

    Raises:
        SlipwayError: there is none.
    """
    if release := host.releases.current():
        return release
    raise SlipwayError("no release is live on this host: deploy one first")
