"""Checks of this machine: the programs that the verbs call."""

import re
import subprocess
from collections.abc import Iterator, Sequence
from importlib.metadata import version as distribution_version

from slipway import __version__
from slipway.controller.doctor.finding import Finding, Place
from slipway.controller.image.docker import HOW_TO_START, find_docker
from slipway.controller.program import PACKAGES

MACHINE = Place("this machine")
OLDEST_SSH = (9, 0)
"""sshd of a hardened host has no algorithms of older ones."""
OLDEST_RSYNC = (3, 1)


def checks() -> Iterator[Finding]:
    """Yield the findings."""
    yield MACHINE.ok("versions", f"slipway {__version__}, ansible-core {distribution_version('ansible-core')}")
    yield _docker()
    yield _program("ssh", ("ssh", "-V"), r"OpenSSH_(\d+)\.(\d+)", OLDEST_SSH, "reaches the hosts")
    yield _program("rsync", ("rsync", "--version"), r"rsync +version v?(\d+)\.(\d+)", OLDEST_RSYNC, "ships releases")
    yield _program("git", ("git", "--version"), r"git version (\d+)\.(\d+)", (2, 0), "names the commit of a release")


def _docker() -> Finding:
    docker = find_docker()
    status, printed = _run((docker, "version", "--format", "{{.Server.Version}}"))
    if status == 0:
        return MACHINE.ok("docker", printed)
    if status is None:
        return MACHINE.wrong("docker", "is not installed: it builds images", "apt-get install docker.io")
    return MACHINE.wrong("docker", printed.splitlines()[-1] if printed else f"status {status}", HOW_TO_START)


def _program(name: str, command: Sequence[str], pattern: str, oldest: tuple[int, int], use: str) -> Finding:
    status, printed = _run(command)
    package = f"apt-get install {PACKAGES.get(name, name)}"
    if status is None:
        return MACHINE.wrong(name, f"is not installed: it {use}", package)
    found = re.search(pattern, printed)
    first = printed.partition("\n")[0]
    if not found or (int(found[1]), int(found[2])) < oldest:
        wanted = ".".join(map(str, oldest))
        return MACHINE.wrong(name, f"{first or 'tells no version'}: {wanted} or newer is needed", package)
    return MACHINE.ok(name, first)


def _run(command: Sequence[str]) -> tuple[int | None, str]:
    """Return the status, None if there is no such program, and all that was printed."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, check=False
        )
    except OSError:
        return None, ""
    except subprocess.TimeoutExpired:
        return 124, f"{command[0]} does not answer"
    return done.returncode, (done.stdout + done.stderr).strip()
