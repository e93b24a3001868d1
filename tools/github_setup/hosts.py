"""An environment's hosts: what its inventory says of them, and their own keys."""

import json
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.github_setup import SetupError


@dataclass(frozen=True)
class Host:
    """A host of the group `app`, with its variables."""

    name: str
    values: dict[str, Any]

    @property
    def address(self) -> str:
        """Where it is reached, as in known_hosts."""
        address, port = self.values.get("ansible_host", self.name), int(self.values.get("ansible_port", 22))
        return address if port == 22 else f"[{address}]:{port}"

    def known_hosts(self) -> str:
        """Its keys as lines for known_hosts, read over the connection by which it is provisioned.

        Raises:
            SetupError: it cannot be reached, or its own key is not known here.
        """
        user = self.values.get("host_admin", "root")
        strict = ["-oBatchMode=yes", "-oStrictHostKeyChecking=yes", "-oConnectTimeout=15"]
        key = self.values.get("ansible_ssh_private_key_file")
        options = [
            *shlex.split(self.values.get("ansible_ssh_common_args", "")),
            *([f"-oIdentityFile={key}"] if key else []),
            f"-p{self.values.get('ansible_port', 22)}",
        ]
        where = f"{user}@{self.values.get('ansible_host', self.name)}"
        # First come, first served, for ssh's options: nothing of the inventory makes it less strict.
        said = subprocess.run(
            ["ssh", *strict, *options, where, "cat /etc/ssh/ssh_host_*_key.pub"],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        lines = [line.split()[:2] for line in said.stdout.splitlines() if line.startswith(("ssh-", "ecdsa-"))]
        if said.returncode or not lines:
            raise SetupError(
                f"{self.name} cannot be reached as {where}: {(said.stderr.strip().splitlines() or ['no key'])[-1]}\n"
                f"Check its address in the inventory, and that `ssh {where}` works: you compare its key there, once."
            )
        return "".join(f"{self.address} {' '.join(line)}\n" for line in lines)


def read_inventory(folder: Path, environment: str) -> list[Host]:
    """The hosts of an environment. `folder`: that of the inventories.

    Raises:
        SetupError: there is no such environment, it has no hosts, or its inventory cannot be read.
    """
    there = sorted(path.parent.name for path in folder.glob("*/hosts.yml") if path.parent.name != "local")
    if environment not in there:
        raise SetupError(
            f"no environment `{environment}` that GitHub could deploy to. Name one: make github ENV={'|'.join(there)}"
        )
    said = subprocess.run(
        ["ansible-inventory", "--inventory", str(folder / environment), "--list"],
        capture_output=True,
        text=True,
        cwd=folder.parent,
        check=False,
    )
    try:
        inventory = json.loads(said.stdout)
        values = inventory["_meta"]["hostvars"]
        names = inventory["app"]["hosts"]
    except (ValueError, KeyError):
        raise SetupError(f"{folder / environment} has no hosts in the group `app`: {said.stderr.strip()}") from None
    return [Host(name, values.get(name, {})) for name in names]


def url(host: Host) -> str:
    """Where the public reaches the site."""
    tls = host.values.get("nginx_tls") == "files"
    usual, name = (443, "nginx_https_port") if tls else (80, "nginx_http_port")
    port = int(host.values.get(name, usual))
    site = (host.values.get("nginx_server_names") or [host.name])[0]
    return f"{'https' if tls else 'http'}://{site}" + ("" if port == usual else f":{port}")
