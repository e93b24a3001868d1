"""An environment's hosts: what its inventory says of them, and their own keys."""

import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slipway.controller import inventory
from slipway.controller.github import SetupError
from slipway.controller.ssh import arguments, jumps, known_keys, known_name, resolve


@dataclass(frozen=True)
class Host:
    """A host of the group `app`, with its variables."""

    name: str
    values: dict[str, Any]

    def known_hosts(self) -> list[str]:
        """Its keys as lines for known_hosts, read over the connection by which it is provisioned, and its jump hosts'.

        Raises:
            SetupError: it cannot be reached, a key is not known here, or the way to it is not in the inventory.
        """
        args = arguments(self.name, self.values, inventory.admin(self.values))
        try:
            # First: without these, ssh would ask on the terminal.
            lines = [line for jump in jumps(args) for line in self._known(jump)]
            return [*self._keys(args), *lines]
        except ValueError as error:
            raise SetupError(f"{self.name} cannot be reached: {error}") from None

    @property
    def jump_hosts(self) -> list[str]:
        """The jump hosts on the way, as in known_hosts."""
        args = arguments(self.name, self.values, "deploy")
        return [known_name(resolve(jump)) for jump in jumps(args)]

    def _keys(self, args: list[str]) -> list[str]:
        """The keys that it shows to whom provisions it."""
        name = known_name(self._resolved(args))
        # First come, first served, for ssh's options: nothing of the inventory makes it less strict.
        strict = ["-oBatchMode=yes", "-oStrictHostKeyChecking=yes", "-oConnectTimeout=15"]
        said = subprocess.run(
            ["ssh", *strict, *args, "cat /etc/ssh/ssh_host_*_key.pub"],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        lines = [line.split()[:2] for line in said.stdout.splitlines() if line.startswith(("ssh-", "ecdsa-"))]
        if said.returncode or not lines:
            raise SetupError(
                f"{self.name} cannot be reached as {args[-1]}: {(said.stderr.strip().splitlines() or ['no key'])[-1]}\n"
                f"Check its address in the inventory, and that `ssh {shlex.join(args)}` works: you compare its key "
                "there, once."
            )
        return [f"{name} {' '.join(line)}" for line in lines]

    def _known(self, jump: list[str]) -> list[str]:
        """The keys of a jump host, which may have no shell to ask, from the person's own known_hosts."""
        config = self._resolved(jump)
        if lines := known_keys(config):
            return lines
        raise SetupError(
            f"{self.name} is behind {known_name(config)}, whose key is not in your known_hosts. "
            f"Type `ssh {shlex.join(jump)}` and compare the key, once."
        )

    def _resolved(self, args: list[str]) -> dict[str, str]:
        """What ssh makes of arguments, which has to be the same in CI, where nobody's ~/.ssh/config is."""
        here, there = resolve(args), resolve(["-Fnone", *args])
        for option in ("hostname", "port", "user", "proxyjump", "proxycommand", "hostkeyalias"):
            if here.get(option) != there.get(option):
                raise SetupError(
                    f"{self.name}: your ~/.ssh/config sets {option} {here.get(option)} for {args[-1]}, and CI has only "
                    "the inventory. Write it there: ansible_host, ansible_port, or ansible_ssh_common_args: "
                    "-J user@jump-host:port"
                )
        return here


def read_inventory(folder: Path, environment: str) -> list[Host]:
    """The hosts of an environment. `folder`: that of the inventories.

    Raises:
        SetupError: there is no such environment, it has no hosts, or its inventory cannot be read.
    """
    there = sorted(path.parent.name for path in folder.glob("*/hosts.yml") if path.parent.name != "local")
    if environment not in there:
        raise SetupError(
            f"no environment `{environment}` that GitHub could deploy to. Name one: slipway github {'|'.join(there)}"
        )
    try:
        # Installed as a tool, Ansible's programs are not on the PATH.
        found = inventory.read([folder / environment], shutil.which("ansible-inventory") or "")
    except inventory.InventoryError as error:
        raise SetupError(str(error)) from None
    return [Host(name, values) for name, values in found.items()]


def url(host: Host) -> str:
    """Where the public reaches the site."""
    tls = host.values.get("nginx_tls", "none") != "none"
    usual, name = (443, "nginx_https_port") if tls else (80, "nginx_http_port")
    port = int(host.values.get(name, usual))
    site = (host.values.get("nginx_server_names") or [host.name])[0]
    return f"{'https' if tls else 'http'}://{site}" + ("" if port == usual else f":{port}")
