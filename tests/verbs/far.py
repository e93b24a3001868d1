"""The local host, moved away: an IPv6 address behind a jump host, another port, and a login whose sudo wants a password."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from slipway.controller.local.docker import docker
from slipway.controller.local.hosts import LocalHosts, Ports

PASSWORD = "for-sudo"
MOVE = f"""
echo admin:{PASSWORD} | chpasswd
echo 'admin ALL=(ALL) ALL' >/etc/sudoers.d/admin
printf 'Port 22\\nPort 2222\\n' >/etc/ssh/sshd_config.d/port.conf
systemctl restart ssh
# sshd's new port is not in it yet; provisioning writes it again.
nft delete table inet slipway_firewall 2>/dev/null || :
"""


@contextmanager
def moved_away(hosts: LocalHosts, name: str, inventory: Path) -> Iterator[dict[str, Any]]:
    """Move a host away, and write an inventory that leads there. Yields the host's variables in it."""
    network, container, gate = f"{hosts.container(name)}-away", hosts.container(name), hosts.container("gate")
    folder = hosts.folder / name
    try:
        ports = hosts.up("gate", system="debian-13", ports=Ports(), groups=["app"])
        subnet = f"fd{hosts.project[:2]}:{hosts.project[2:]}::/64"
        docker("network", "create", "--ipv6", f"--subnet={subnet}", network)
        for each in (container, gate):
            docker("network", "connect", network, each)
        docker("exec", container, "sh", "-euc", MOVE)
        networks = json.loads(docker("inspect", "--format={{json .NetworkSettings.Networks}}", container))
        address = networks[network]["GlobalIPv6Address"]
        key = (folder / "ssh_host_ed25519_key.pub").read_text().split()[:2]
        (folder / "away_known_hosts").write_text(f"[{address}]:2222 {' '.join(key)}\n")
        options = {
            "UserKnownHostsFile": hosts.folder / "gate/known_hosts",
            "IdentityFile": hosts.folder / "gate/id_ed25519",
        }
        (folder / "away_config").write_text(
            f"Host gate\n  HostName 127.0.0.1\n  Port {ports[22]}\n  User admin\n"
            + "".join(f"  {option} {value}\n" for option, value in options.items())
        )
        values = {
            "ansible_host": address,
            "ansible_port": 2222,
            "ansible_user": "admin",
            "ansible_become_password": PASSWORD,
            "ansible_ssh_private_key_file": str(folder / "id_ed25519"),
            "ansible_ssh_common_args": f"-F {folder}/away_config -J gate -o UserKnownHostsFile={folder}/away_known_hosts "
            f"-o IdentityFile={folder}/deploy_ed25519",
            "host_deploy_keys": [(folder / "deploy_ed25519.pub").read_text().strip()],
        }
        inventory.parent.mkdir(parents=True, exist_ok=True)
        inventory.write_text(yaml.safe_dump({"app": {"hosts": {"far": values}}}))
        yield values
    finally:
        hosts.down("gate")
        docker("network", "disconnect", "--force", network, container)
        docker("network", "rm", network)
