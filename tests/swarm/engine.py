"""This machine's Docker as a swarm of one node: made for the tests, and left as it was."""

import os
import shutil
import subprocess
from pathlib import Path

from labs.command import LabError
from tests.platforms.waiting import within
from tools.checkout import CHECKOUT, ROOT

LABEL = f"slipway-tests-{CHECKOUT}"
"""Of a node whose swarm these tests have made."""
BRIDGE = "docker_gwbridge"
"""The network by which a swarm's containers reach out. The engine creates it and never removes it."""
GONE_SECONDS = 60


def find_client() -> Path:
    """Find a client that waits for services.

    Raises:
        LabError: there is none.
    """
    for folder in os.environ["PATH"].split(os.pathsep):
        if found := shutil.which("docker", path=folder):
            command = [found, "stack", "deploy", "--help"]
            if "--detach" in subprocess.run(command, capture_output=True, text=True, check=False).stdout:
                return Path(found)
    raise LabError("no docker on PATH knows `stack deploy --detach`: install Docker's client 26 or newer")


class Engine:
    """The engine and a client in a folder of its own, which comes first on PATH."""

    def __init__(self, folder: Path) -> None:
        """Choose the client; the engine is not changed yet."""
        self._folder = folder / "bin"
        self._folder.mkdir()
        (self._folder / "docker").symlink_to(find_client())
        self._had_bridge = True
        self._node = ""

    def run(self, *command: str, folder: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command with that client, and return how it ended."""
        variables = os.environ | {"PATH": f"{self._folder}:{os.environ['PATH']}"} | environment
        return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)

    def docker(self, *arguments: str) -> str:
        """Run docker and return its output.

        Raises:
            LabError: it failed.
        """
        done = self.run("docker", *arguments)
        if done.returncode:
            raise LabError(f"docker {' '.join(arguments)}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def start(self) -> None:
        """Make the swarm.

        Raises:
            LabError: the engine is in a swarm that these tests have not made.
        """
        state = self._state()
        if state == "active" and LABEL in self._labels():
            self._node = self._node_id()  # of a run that was killed
            self.remove()
        elif state != "inactive":
            raise LabError(
                f"this engine is in a swarm already (its state is {state!r}), and the tests make and leave one of "
                "their own: run them on another machine, or leave that one: docker swarm leave"
            )
        self._had_bridge = BRIDGE in self._names("network")
        self.docker("swarm", "init", "--advertise-addr=127.0.0.1", "--listen-addr=127.0.0.1:2377")
        self._node = self._node_id()
        self.docker("node", "update", f"--label-add={LABEL}=", self._node)

    def remove(self) -> None:
        """Remove all services and leave the swarm, if the tests have made it."""
        if not self._node or self._state() != "active":
            return
        if services := self.docker("service", "ls", "--quiet").split():
            self.docker("service", "rm", *services)
        within(GONE_SECONDS, lambda: not self.containers("status=running"))
        # Those of jobs outlive their services.
        if ended := self.containers():
            self.docker("rm", "--force", *ended)
        self.docker("swarm", "leave", "--force")
        if not self._had_bridge:
            self.docker("network", "rm", BRIDGE)

    def remains(self) -> list[str]:
        """List containers and networks of the swarm."""
        networks = self._names("network", "--filter=driver=overlay")
        return [*self.containers(), *networks, *({BRIDGE} & {*self._names("network")} if not self._had_bridge else ())]

    def containers(self, *filters: str) -> list[str]:
        """List the containers of the swarm's tasks, also those that have ended."""
        node = f"--filter=label=com.docker.swarm.node.id={self._node}"
        return self.docker("ps", "--all", "--quiet", node, *(f"--filter={one}" for one in filters)).split()

    def _node_id(self) -> str:
        return self.docker("info", "--format={{.Swarm.NodeID}}").strip()

    def _state(self) -> str:
        return self.docker("info", "--format={{.Swarm.LocalNodeState}}").strip()

    def _labels(self) -> str:
        return self.docker("node", "inspect", "self", "--format={{json .Spec.Labels}}")

    def _names(self, kind: str, *arguments: str) -> list[str]:
        return self.docker(kind, "ls", "--format={{.Name}}", *arguments).split()
