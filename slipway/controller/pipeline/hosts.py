"""What the hosts of an environment say of themselves: `slipway status --json`."""

import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from slipway.controller import host_status, inventory
from slipway.controller.host_status import NoStatusError, Status
from slipway.controller.pipeline import PipelineError
from slipway.controller.pipeline.connection import Connection
from slipway.controller.playbook import sources
from slipway.controller.project import Project

Statuses = dict[str, Status]
"""By the host's name in the inventory."""


def statuses(project: Project, environment: str, connection: Connection) -> Statuses:
    """Return the status of each host, in the way that the inventory has, but for ssh and its key: these are CI's.

    Raises:
        PipelineError: a host does not tell it, and why.
        ProjectError: there is no such environment.
    """
    hosts = inventory.read(sources(project, environment))

    def ask(name: str) -> Status | NoStatusError:
        try:
            ssh = inventory.ssh(name, hosts[name] | connection.variables, "deploy")
            return host_status.ask(ssh, connection.environment)
        except NoStatusError as error:
            return error

    with ThreadPoolExecutor() as pool:
        answers = dict(zip(hosts, pool.map(ask, hosts), strict=True))
    silent = [f"{name}: {answer}" for name, answer in answers.items() if isinstance(answer, NoStatusError)]
    if silent:
        raise PipelineError("\n".join([f"a host of {environment} cannot be reached, or has no status", *silent]))
    return {name: answer for name, answer in answers.items() if not isinstance(answer, NoStatusError)}


def newer(folder: Path, commit: str, found: Statuses) -> str:
    """Return the commit that the hosts serve if it came after this one; else nothing.

    All of them have to: what only some have is an error that the playbook tells.
    """
    live = [str(status["commit"]) for status in found.values()]
    is_newer = bool(commit and live) and all(each and contains(folder, each, commit) for each in live)
    return live[0] if is_newer else ""


def contains(folder: Path, commit: str, older: str) -> bool:
    """Tell whether git knows, in the repository of a folder, that a commit came after another one."""
    if commit == older:
        return False
    command = ["git", "-C", str(folder), "merge-base", "--is-ancestor", older, commit]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
