"""What is run in the live release besides its processes: a one-off command, a job, its logs, and a shell."""

import os
import pwd
import shlex
import time
from collections.abc import Sequence

from slipway import audit, instances
from slipway.errors import SlipwayError, UsageError
from slipway.host import Host
from slipway.releases import write_atomically

POLL_SECONDS = 0.1
JOB_SECONDS = 7 * 86400
"""Longer than any job: its own unit stops one that takes too long (app_jobs)."""


def run(host: Host, command: Sequence[str], by: str, timeout: float) -> int:
    """Run a command in the live release and print what it prints. Returns its exit status.

    It runs as the app's user under the app's sandbox, with its settings and secrets, as `run@<release>.service`: it
    goes on when the connection is lost, and is stopped after `timeout` seconds.

    Raises:
        UsageError: there is no command.
        SlipwayError: nothing is live, another one runs, or it took too long.
    """
    if not command:
        raise UsageError("say what to run: slipway run -- python -m app.something")
    release = live(host)
    unit = f"run@{release}.service"
    if not host.systemd.state(unit).ended:
        raise SlipwayError(f"another one-off runs in {release}: wait for it, or `systemctl stop {unit}`")
    script = host.releases.path(release) / ".slipway/run"
    write_atomically(script, f"#!/bin/sh\n. /.slipway/env\nexec {shlex.join(command)}\n")
    script.chmod(0o755)
    audit.write(host, "run", release=release, by=by, command=list(command))
    cursor = host.systemd.cursor()
    if said := host.systemd.start(unit):
        raise SlipwayError(f"it did not start: {said}")
    return _follow(host, unit, cursor, timeout)


def job(host: Host, name: str) -> None:
    """Run a job in the live release, as its timer asks for, and wait for its end. One at a time, whatever the release.

    Raises:
        UsageError: there is no such job.
        SlipwayError: nothing is live, the live release does not have it, it runs already, or it failed.
    """
    if name not in host.config.jobs:
        raise UsageError(f"there is no job {name!r}; app_jobs has {', '.join(host.config.jobs) or 'none'}")
    release = live(host)
    if not (host.releases.path(release) / ".slipway/jobs" / name).exists():
        raise SlipwayError(f"{release} has no job {name}: it was shipped before the job was in app_jobs. Deploy again")
    if running := [unit for unit in host.systemd.loaded(f"job-{name}@*.service") if not host.systemd.state(unit).ended]:
        raise SlipwayError(f"the job {name} runs already, as {running[0]}: wait for its end, or `systemctl stop` it")
    if said := host.systemd.start(unit := f"job-{name}@{release}.service", timeout=JOB_SECONDS):
        raise SlipwayError(f"the job {name} failed ({said.splitlines()[0]}): journalctl --unit={unit} says why")


def _follow(host: Host, unit: str, cursor: str, timeout: float) -> int:
    deadline = time.monotonic() + timeout
    status = 0
    while True:
        # The state first: what a unit said before it ended is in the journal once it has ended.
        ended = host.systemd.state(unit).ended
        entries, cursor = host.systemd.said_since(unit, cursor)
        for entry in entries:
            if entry.exit_status is not None:
                status = entry.exit_status
            elif entry.by_unit:
                print(entry.message, flush=True)
        if ended:
            return status
        if time.monotonic() > deadline:
            host.systemd.stop(unit)
            raise SlipwayError(f"it ran for longer than {timeout:g} s and was stopped; allow more with --timeout")
        time.sleep(POLL_SECONDS)


def logs(host: Host, release: str | None, process: str | None, follow: bool, lines: int) -> None:
    """Become journalctl for a release, the live one if none is named, and all its processes or one. Does not return."""
    release = release or live(host)
    units = instances.services(host, release)
    chosen = [unit for unit in units if process in {None, instances.title(unit).partition(".")[0]}]
    if not chosen:
        raise UsageError(f"no process {process!r} in {release}; there are {', '.join(map(instances.title, units))}")
    options = ["--no-pager", "--output=cat", f"--lines={lines}", *(f"--unit={unit}" for unit in chosen)]
    options += ["--follow"] if follow else []
    os.execvp("journalctl", ["journalctl", *options])


def shell(host: Host) -> None:
    """Become a shell in the live release, as root asked for: the app's user, files and network. Does not return."""
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
