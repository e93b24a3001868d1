"""How CI reaches the hosts: with its own key and the hosts' keys that it was given, whatever the inventory says."""

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from slipway.controller.ansible import CONFIG, own
from slipway.controller.pipeline import PipelineError, runner
from slipway.controller.playbook import Playbook
from slipway.controller.project import Project
from slipway.controller.ssh import write_strict_ssh


@dataclass(frozen=True)
class Connection:
    """The environment of ssh, and Ansible's variables for it."""

    environment: dict[str, str]
    variables: dict[str, str]

    def playbook(self, project: Project, environment: str, file: str, **variables: object) -> tuple[bool, str]:
        """Run a playbook, and print what it prints. Returns whether it succeeded, and its output.

        The hosts' audit names who runs the workflow, and the run; on a laptop, the person's login.

        Raises:
            ProjectError: there is no such environment.
        """
        values = self.variables | variables
        if runner.is_ci():
            values["release_deployed_by"] = f"{os.environ.get('GITHUB_ACTOR')} by {runner.url()}"
        arguments = ("--extra-vars", json.dumps(values))
        program, *words = Playbook("pipeline", file, project, environment, arguments).command()
        with runner.no_commands():
            return _printed([own(program), *words], project.root, self.environment | CONFIG | {"ANSIBLE_NOCOLOR": "1"})


def _printed(command: Sequence[str], folder: Path, environment: dict[str, str]) -> tuple[bool, str]:
    lines = []
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    return process.returncode == 0, "".join(lines)


@contextmanager
def connect() -> Iterator[Connection]:
    """Read SLIPWAY_SSH_KEY, of the user deploy, and SLIPWAY_KNOWN_HOSTS. On a laptop, without: ssh as it is.

    How hosts are reached (port, jump host) stays the inventory's.

    Raises:
        PipelineError: a workflow was not given one of them.
    """
    key, known_hosts = os.environ.get("SLIPWAY_SSH_KEY"), os.environ.get("SLIPWAY_KNOWN_HOSTS")
    if not key and not runner.is_ci():
        yield Connection(dict(os.environ), {})
        return
    for name, value in {"SLIPWAY_SSH_KEY": key, "SLIPWAY_KNOWN_HOSTS": known_hosts}.items():
        if not value:
            raise PipelineError(f"no {name}. Set this environment up: slipway github <environment>")
    with tempfile.TemporaryDirectory() as folder:
        programs = write_strict_ssh(Path(folder), known_hosts or "", key)
        yield Connection(
            os.environ | {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"},
            {
                "ansible_ssh_private_key_file": f"{folder}/key",
                "ansible_ssh_executable": f"{programs}/ssh",
                # sftp would start another ssh than the PATH's.
                "ansible_ssh_transfer_method": "piped",
            },
        )
