"""Calls of Ansible: the command that a person of Ansible would type, and running it."""

import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from slipway.controller import inventory, resources, stand_in
from slipway.controller.ansible import CONFIG, own
from slipway.controller.program import progress, require
from slipway.controller.project import LOCAL, Project, ProjectError
from slipway.controller.timings import Timings

_WANTS_ALL = frozenset(("-C", "-D", "--check", "--diff", "--list-hosts", "--list-tags", "--list-tasks", "--step"))
"""Options of ansible-playbook that need Ansible's own output instead of the phases."""


def local_inventory(project: Project) -> Path:
    """Return the file that says how the host of `slipway up` is reached."""
    return project.cache / "hosts" / LOCAL / "inventory.yml"


def sources(project: Project, environment: str) -> list[Path]:
    """Return the inventory of an environment: its folder, and for a local host also where it is.

    Raises:
        ProjectError: there is no such environment, or no local host.
    """
    if environment != LOCAL:
        return [project.environment(environment)]
    written = local_inventory(project)
    if not written.exists():
        raise ProjectError("There is no host on this machine yet. Type: slipway up")
    if LOCAL not in project.environments:
        return [stand_in.write(project), written]
    folder = project.environment(LOCAL)
    return [folder] if (folder / "hosts.yml").resolve() == written.resolve() else [folder, written]


@dataclass(frozen=True)
class Playbook:
    """A playbook for an environment."""

    verb: str
    """What the person typed."""
    file: str
    project: Project
    environment: str
    arguments: Sequence[str] = ()
    """More of them, for ansible-playbook."""

    def command(self) -> list[str]:
        """Return the command.

        Raises:
            ProjectError: there is no such environment.
        """
        inventories = [f"--inventory={source}" for source in sources(self.project, self.environment)]
        return ["ansible-playbook", *inventories, *self.arguments, str(resources.ANSIBLE / self.file)]

    def typed(self) -> str:
        """Return it as one would type it in a shell."""
        program, *words = self.command()
        known = program if shutil.which(program) == own(program) else own(program)
        config = [f"{name}={shlex.quote(value)}" for name, value in CONFIG.items()]
        return " ".join([*config, shlex.join([known, *words])])

    def run(self, *, verbose: bool, tells_phases: bool = True) -> bool:
        """Run it, with a line for each phase, or as Ansible prints it. Returns whether it succeeded.

        Args:
            verbose: print the command, and all that Ansible prints.
            tells_phases: False for a verb whose answer is all that a person reads.

        Raises:
            ProjectError: there is no such environment.
            InventoryError: a file of its inventory is not YAML.
            ProgramError: a program is missing on this machine.
        """
        require(ssh="reaches the hosts", rsync="ships releases")
        inventory.verify_files(sources(self.project, self.environment))
        program, *words = self.command()
        timings = self.project.cache / f"timings/{self.environment}.json"
        environment = os.environ | CONFIG | {"SLIPWAY_TIMINGS": str(timings)}
        if verbose:
            print(self.typed(), flush=True)
        elif not _WANTS_ALL & set(self.arguments) and not any(word.startswith("-v") for word in self.arguments):
            environment |= {"ANSIBLE_STDOUT_CALLBACK": "phases"} | ({} if tells_phases else {"SLIPWAY_PHASES": "none"})
        whole, began = Timings.read(timings), time.monotonic()
        last = whole.last(self.verb)
        if tells_phases:
            progress(f"{self.verb} {self.environment}{f' ({last})' if last else ''}")
        done = subprocess.run([own(program), *words], env=environment, check=False)
        if done.returncode == 0:
            whole = Timings.read(timings)
            whole.add(self.verb, time.monotonic() - began)
            whole.save()
        return done.returncode == 0
