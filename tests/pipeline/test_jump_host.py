"""A jump host in the inventory holds in CI: Ansible, rsync and the statuses go through it, with the keys of CI alone.

Two real sshds in containers: the host, whose address in the inventory only the jump host can resolve, and the jump host.
"""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from slipway.controller.pipeline import PipelineError
from slipway.controller.pipeline.connection import Connection, connect
from slipway.controller.pipeline.hosts import statuses
from slipway.controller.project import Project
from tests.pipeline.github import ROOT, run
from tools.checkout import CHECKOUT

pytestmark = pytest.mark.slow

NAME = f"slipway-{CHECKOUT}-jump-test"
SSHD = """
useradd --create-home --shell /bin/bash deploy; useradd --create-home --shell /bin/bash gate; mkdir -p /run/sshd
printf '#!/bin/sh\\necho "{\\\\"from\\\\": \\\\"$SSH_CONNECTION\\\\"}"\\n' >/usr/local/bin/slipway; chmod 755 /usr/local/bin/slipway
cp /keys/NAME /etc/ssh/host; chmod 600 /etc/ssh/host
exec /usr/sbin/sshd -D -e -h /etc/ssh/host -o AuthorizedKeysFile=/keys/ci.pub -o StrictModes=no -p PORT
"""
PLAY = """
- hosts: app
  gather_facts: false
  vars: {ansible_user: deploy}
  vars_files: [VARS]
  tasks:
    - ansible.builtin.ping:
    - ansible.builtin.copy: {src: tree/, dest: /home/deploy/copied/}
    - ansible.builtin.command: {argv: "{{ __release_rsync }}"}
      delegate_to: localhost
      vars:
        __release_image: {tree: "{{ playbook_dir }}/tree"}
        __release_place: {answer: {link_dest: "", partial: /home/deploy/shipped}}
"""


JUMPS = {
    "-J": "-J gate@127.0.0.1:{port}",
    "ProxyJump": "-o ProxyJump=gate@127.0.0.1:{port}",
    "ProxyCommand": "-o ProxyCommand='ssh -W %h:%p -p {port} gate@127.0.0.1'",
    "as lax as can be": "-J gate@127.0.0.1:{port} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null",
    "a lax command": '-o ProxyCommand="ssh -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -W %h:%p '
    '-p {port} gate@127.0.0.1"',
}


def docker(*arguments: str, stdin: str | None = None) -> str:
    """Run docker, and return what it printed."""
    return subprocess.run(
        ["docker", *arguments], input=stdin, capture_output=True, text=True, check=True
    ).stdout.strip()


@dataclass
class Way:
    """The two hosts, and an inventory's folder."""

    folder: Path
    port: int
    keys: dict[str, str]
    names: Iterator[str]

    def inventory(self, args: str, **variables: Any) -> None:
        """Write the inventory of one host, which the machine itself cannot resolve.

        Its name is a new one each time, so that no connection is there that an earlier case has left open.
        """
        hosts = {"www1": {"ansible_host": next(self.names), "ansible_port": 2022} | variables}
        hosts["www1"]["ansible_ssh_common_args"] = args.format(port=self.port)
        (self.folder / "inventory").mkdir(exist_ok=True)
        (self.folder / "inventory/hosts.yml").write_text(yaml.safe_dump({"app": {"hosts": hosts}}))

    def known_hosts(self, jump: str) -> str:
        """CI's known_hosts: the key of each host. `jump`: the name of the key that the jump host is to have."""
        return f"[*.internal]:2022 {self.keys['host']}\n[127.0.0.1]:{self.port} {self.keys[jump]}\n"

    @contextmanager
    def connected(self, jump: str = "gate") -> Iterator[Connection]:
        """Connect as CI does."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SLIPWAY_SSH_KEY", (self.folder / "keys/ci").read_text())
            patch.setenv("SLIPWAY_KNOWN_HOSTS", self.known_hosts(jump))
            with connect() as connection:
                yield connection

    @property
    def project(self) -> Project:
        """The project whose environment `inventory` has the host."""
        return Project(self.folder, self.folder)


@pytest.fixture(scope="module")
def way(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Way]:
    folder = tmp_path_factory.mktemp("jump")
    (folder / "keys").mkdir(mode=0o755)
    for name in ("host", "gate", "ci", "other"):
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", folder / "keys" / name)
    keys = {name: " ".join((folder / f"keys/{name}.pub").read_text().split()[:2]) for name in ("host", "gate", "other")}
    base = run(ROOT / "tools/host", "image").splitlines()[-1]
    recipe = f"FROM {base}\nRUN apt-get update -q && apt-get install -qy --no-install-recommends rsync\n"
    docker("build", "--quiet", "--tag", f"{NAME}:latest", "-", stdin=recipe)
    names = [f"{NAME}-host", f"{NAME}-gate"]
    docker("network", "create", NAME)
    try:
        aliases = [f"host{number}.internal" for number in range(2 * len(JUMPS) + 2)]
        for name, key, port in ((names[0], "host", 2022), (names[1], "gate", 22)):
            script = SSHD.replace("NAME", key).replace("PORT", str(port))
            options = ["--network", NAME, "--publish=127.0.0.1::22"]
            options += [f"--network-alias={alias}" for alias in aliases if key == "host"]
            options += [f"--volume={folder}/keys:/keys:ro", "--entrypoint=/bin/sh", "--name", name]
            docker("run", "--detach", "--rm", *options, f"{NAME}:latest", "-c", script)
        port = int(docker("port", names[1], "22").rpartition(":")[2])
        made = Way(folder, port, keys, iter(aliases))
        (folder / "tree").mkdir()
        (folder / "tree/file").write_text("shipped")
        play = PLAY.replace("VARS", str(ROOT / "ansible/roles/release/vars/main.yml"))
        (folder / "play.yml").write_text(play)
        wait = f"until ssh-keyscan -p {port} 127.0.0.1 2>/dev/null | grep -q .; do sleep 0.1; done"
        run("timeout", "20", "sh", "-c", wait)
        yield made
    finally:
        subprocess.run(["docker", "rm", "--force", *names], capture_output=True, check=False)
        docker("network", "rm", NAME)
        docker("image", "rm", f"{NAME}:latest")


# One of each kind: ssh starts the second ssh by itself, or by a shell.
kinds = pytest.mark.parametrize(
    "kind",
    [pytest.param(kind, marks=[] if kind in {"-J", "a lax command"} else pytest.mark.catalogue) for kind in JUMPS],
)


@kinds
def test_all_that_ci_does_goes_through_the_jump_host(way: Way, kind: str) -> None:
    way.inventory(JUMPS[kind], ansible_ssh_private_key_file="~/none")
    gate = docker("inspect", "--format={{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", f"{NAME}-gate")
    with way.connected() as connection:
        succeeded, output = connection.playbook(way.project, "inventory", str(way.folder / "play.yml"))
        assert succeeded, output
        told = statuses(way.project, "inventory", connection)
    for folder in ("copied", "shipped"):
        assert docker("exec", f"{NAME}-host", "cat", f"/home/deploy/{folder}/file") == "shipped"
    assert told["www1"]["from"].split()[0] == gate
    # Those whom the host has let in came by the jump host.
    lines = [line for line in logs("host") if "Accepted publickey for deploy" in line]
    assert lines
    assert all(f"from {gate} " in line for line in lines)


@kinds
def test_another_key_of_the_jump_host_is_refused(way: Way, kind: str) -> None:
    way.inventory(JUMPS[kind])
    before = len(logs("gate"))
    with way.connected(jump="other") as connection:
        with pytest.raises(PipelineError, match="Host key verification failed"):
            statuses(way.project, "inventory", connection)
        succeeded, output = connection.playbook(way.project, "inventory", str(way.folder / "play.yml"))
    assert not succeeded
    assert "unreachable=1" in output
    assert not [line for line in logs("gate")[before:] if "Accepted" in line]


@pytest.mark.parametrize(("key", "accepted"), [("gate", True), ("other", False)])
def test_an_ssh_that_the_inventory_names_is_not_taken(way: Way, key: str, accepted: bool) -> None:
    """It would know nothing of CI's keys, and the options beside it let in every host."""
    way.inventory(
        "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null",
        ansible_host="127.0.0.1",
        ansible_port=way.port,
        ansible_ssh_executable=shutil.which("ssh"),
        ansible_ssh_private_key_file=str(way.folder / "keys/ci"),
    )
    with way.connected(jump=key) as connection:
        if accepted:
            assert "from" in statuses(way.project, "inventory", connection)["www1"]
        else:
            with pytest.raises(PipelineError, match="Host key verification failed"):
                statuses(way.project, "inventory", connection)


def logs(name: str) -> list[str]:
    """What an sshd has logged."""
    done = subprocess.run(["docker", "logs", f"{NAME}-{name}"], capture_output=True, text=True, check=True)
    return (done.stdout + done.stderr).splitlines()
