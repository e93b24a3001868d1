"""The hosts of one project on this machine."""

import fcntl
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from slipway.controller.local import HostError, image
from slipway.controller.local.docker import EXECUTABLE, docker
from slipway.controller.local.files import describe, files_for, make_keys
from slipway.controller.local.ports import free_ports
from slipway.controller.project import shared_cache

START_SECONDS = 60

# systemd as PID 1 needs these and no --privileged. AppArmor: hosted CI machines have it, and its default profile
# forbids mounts. The cgroup namespace is the host's own; the entry script mounts its part of the v2 hierarchy there.
RUN_OPTIONS = [
    "--stop-signal=SIGRTMIN+3",
    "--cap-add=SYS_ADMIN",
    "--cap-add=NET_ADMIN",
    "--cap-add=SYS_PTRACE",
    "--cap-add=SYS_NICE",
    "--security-opt=seccomp=unconfined",
    "--security-opt=apparmor=unconfined",
    "--cgroupns=private",
    "--tmpfs=/run:exec,mode=755",
    "--tmpfs=/tmp:exec,mode=1777",
    # A file system as on a VM: on the overlay a hard link, of which a release has thousands, costs five times more.
    "--volume=/srv",
    "--env=container=docker",
]


@dataclass(frozen=True)
class Ports:
    """Ports on 127.0.0.1. None: a free one."""

    ssh: int | None = None
    http: int | None = None
    https: int | None = None
    http_from: int | None = None
    """Without `http`: the first free port from this one on."""


@dataclass(frozen=True)
class LocalHosts:
    """The hosts, each with a folder that says how it is reached."""

    folder: Path
    project: str
    """Part of the names of containers, so that two projects do not meet."""

    def container(self, name: str) -> str:
        """Return the name of a host's container."""
        return f"slipway-host-{self.project}-{name}"

    def up(self, name: str, *, system: str, ports: Ports, groups: Sequence[str]) -> dict[int, int]:
        """Make a host run and reachable; one that runs is left alone. Returns its ports.

        Raises:
            HostError: it does not start, or exists with other ports.
        """
        with one_at_a_time():
            if self.state(name) is not None and not (self.folder / name / "ssh_host_ed25519_key").exists():
                docker("rm", "--force", "--volumes", self.container(name))  # its keys are gone: nobody can log in
            if self.state(name) is None:
                self._create(name, system, ports)
            published = self.ports(name)
            wanted = {22: ports.ssh, 80: ports.http, 443: ports.https}
            if any(port and published[inside] != port for inside, port in wanted.items()):
                raise HostError(
                    f"The host {name} already exists, on port {published[80]}. To create it again, type: slipway down"
                )
            self._start(name)
            describe(self.folder / name, published, list(groups))
        self._wait_for_ssh(name)
        return published

    def down(self, name: str) -> bool:
        """Remove a host and what belongs to it. Returns whether there was one."""
        with one_at_a_time():
            there = self.state(name) is not None
            if there:
                docker("rm", "--force", "--volumes", self.container(name))
            shutil.rmtree(self.folder / name, ignore_errors=True)
        return there

    def state(self, name: str) -> str | None:
        """Return Docker's word for a host (running, exited, created, ...), None when there is no such container."""
        try:
            return docker("container", "inspect", "--format", "{{.State.Status}}", self.container(name))
        except HostError as error:
            if "No such container" in str(error):
                return None
            raise

    def ports(self, name: str) -> dict[int, int]:
        """Return the ports of a host, each with the one on 127.0.0.1, whether it runs or not."""
        bindings = json.loads(
            docker("container", "inspect", "--format", "{{json .HostConfig.PortBindings}}", self.container(name))
        )
        return {int(inside.split("/")[0]): int(outside[0]["HostPort"]) for inside, outside in bindings.items()}

    def url(self, name: str) -> str:
        """Return where a host serves.

        Raises:
            HostError: there is no such host.
        """
        if self.state(name) is None:
            raise HostError(f"There is no host {name} on this machine. Type: slipway up")
        return f"http://127.0.0.1:{self.ports(name)[80]}"

    def rows(self) -> list[str]:
        """Return a line for each host: name, system, state, ports."""
        line = '{{.Names}}\t{{.Label "slipway.system"}}\t{{.State}}\t{{.Ports}}'
        listed = docker("ps", "--all", "--filter", f"label=slipway.checkout={self.project}", "--format", line)
        return ["  ".join(row.removeprefix(self.container("")).split("\t")) for row in listed.splitlines()]

    def _create(self, name: str, system: str, ports: Ports) -> None:
        """Create the container, not yet started, with its keys inside."""
        directory = self.folder / name
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True, mode=0o700)
        make_keys(directory)
        tag = image.build(system)
        http = ports.http or (next(free_ports(ports.http_from)) if ports.http_from else None)
        free = free_ports()
        published = [
            f"--publish=127.0.0.1:{outside or next(free)}:{inside}"
            for inside, outside in ((22, ports.ssh), (80, http), (443, ports.https))
        ]
        labels = [f"--label=slipway.system={system}", f"--label=slipway.checkout={self.project}"]
        named = ["--name", self.container(name), "--hostname", name.replace("_", "-")]
        docker("create", *named, *labels, *RUN_OPTIONS, *published, tag)
        docker("cp", "-", f"{self.container(name)}:/", stdin=files_for(directory))

    def _start(self, name: str) -> None:
        was = self.state(name)
        if was == "running":
            return
        try:
            docker("start", self.container(name))
        except HostError as error:
            if was == "created":
                docker("rm", "--force", "--volumes", self.container(name))
            if "port is already allocated" in str(error) or "address already in use" in str(error):
                raise HostError(f"{error}\nAnother program has that port. Choose another one: --http PORT") from None
            raise

    def _wait_for_ssh(self, name: str) -> None:
        """Return when admin can log in and PID 1 has finished booting.

        Raises:
            HostError: it takes longer than START_SECONDS; with the end of the journal.
        """
        config = str(self.folder / name / "ssh_config")
        command = ["ssh", "-F", config, "-o", "ConnectTimeout=2", "-o", "BatchMode=yes", name]
        deadline = time.monotonic() + START_SECONDS
        while True:
            # `is-system-running` also fails for "degraded": a host like that is up, and its tests will say so.
            result = subprocess.run(
                [*command, "systemctl is-system-running --wait || systemctl list-units --failed --no-legend"],
                capture_output=True,
                stdin=subprocess.DEVNULL,
                text=True,
                check=False,
            )
            if result.returncode == 0:
                if not result.stdout.startswith("running"):
                    print(f"host {name}: {result.stdout.strip()}", file=sys.stderr)
                return
            if self.state(name) != "running" or time.monotonic() > deadline:
                raise HostError(
                    f"The host {name} did not come up within {START_SECONDS} s.\n{result.stderr}{self._journal(name)}"
                )
            time.sleep(0.2)

    def _journal(self, name: str) -> str:
        commands = (
            ["exec", self.container(name), "journalctl", "--no-pager", "-n", "20"],
            ["logs", "--tail", "20", self.container(name)],
        )
        done = [subprocess.run([EXECUTABLE, *words], capture_output=True, text=True, check=False) for words in commands]
        return "\n".join(text for each in done for text in (each.stdout, each.stderr) if text)


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Two hosts that start together, of any project, must not choose the same port or build the same image."""
    shared_cache().mkdir(parents=True, exist_ok=True)
    with (shared_cache() / "hosts.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
