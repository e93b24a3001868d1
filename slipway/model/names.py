"""Names of releases, processes, jobs and variables: what they look like, and which ones Slipway keeps for itself."""

import re

from slipway.model.errors import UsageError

RELEASE = re.compile(r"[0-9]{8}T[0-9]{6}-[0-9a-f]{7}")
PROCESS = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")
"""A line of the Procfile, and the instances of its unit: app-<process>.<number>@."""
JOB = re.compile(r"[A-Za-z0-9_]+")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

SCRIPTS = frozenset({"env", "run", "process", "port", "ports", "writable", "jobs"})
"""Files in `/.slipway` that are no process: the environment, the command of `slipway run`, the program that a process's
unit starts, the port that requests go to, the ports that the app may listen on, and two folders."""

FILE_LIST = ".slipway-files"
"""The names of an image's files, each ended by NUL, in its tree on the controller: only files that differ are sent."""

RESERVED_PROCESSES = SCRIPTS | {"web", "release"}
"""No process of `app_processes` may have these names: `web` is the image's own command, `release` its migrations."""

RESERVED_VARIABLES = frozenset(
    {
        "APP_PRELOAD",
        "CREDENTIALS_DIRECTORY",
        "FORWARDED_ALLOW_IPS",
        "GUNICORN_CMD_ARGS",
        "HOME",
        "INVOCATION_ID",
        "JOURNAL_STREAM",
        "LISTEN_FDNAMES",
        "LISTEN_FDS",
        "LISTEN_PID",
        "MEMORY_MAX",
        "NOTIFY_SOCKET",
        "STATE_DIRECTORY",
        "TMPDIR",
        "WEB_CONCURRENCY",
        "WORKLOAD",
    }
)
"""Set by the unit for this host. An image's value was meant for a container, and a setting's would break what the
variable is for."""

RESERVED_PREFIX = "SLIPWAY_"

COMBINED_VARIABLE = "GUNICORN_CMD_ARGS"
"""An image's arguments stand before the unit's, which win where both say something."""

IMAGE_FIRST = frozenset({"PATH", "LANG", "LANGUAGE", "USER", "LOGNAME", "SHELL", "TERM", "TZ"})
"""Variables that systemd sets for every service, so that an image's value counts; see "Environment Variables in Spawned
Processes" in systemd.exec(5). Any other variable of the unit is meant for this host and wins over the image's."""

CONTAINER_VARIABLES = frozenset({"HOSTNAME"})
"""An image's value is a container's; a setting may have one."""


def check_release(name: str) -> str:
    """Return `name` if it is the name of a release.

    Raises:
        UsageError: it is not.
    """
    if not RELEASE.fullmatch(name):
        raise UsageError(
            f"{name!r} is not the name of a release: it takes the form <UTC time>-<short commit>, for example "
            "20261122T105851-3f2a9c1. `slipway status` lists the ones on this host."
        )
    return name


def is_reserved_variable(name: str) -> bool:
    """Whether the unit owns the environment variable `name`: settings must not have it."""
    return name in RESERVED_VARIABLES or name.startswith(RESERVED_PREFIX)


def is_dropped_from_image(name: str) -> bool:
    """Whether an image's environment variable `name` is left out on a host."""
    return (is_reserved_variable(name) and name != COMBINED_VARIABLE) or name in CONTAINER_VARIABLES
