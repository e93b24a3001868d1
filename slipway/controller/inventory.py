"""The hosts of an environment with their variables, as Ansible reads its inventory."""

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from slipway.controller.ansible import CONFIG, own
from slipway.controller.ssh import arguments
from slipway.model.errors import SlipwayError


class InventoryError(SlipwayError):
    """The inventory cannot be read, or has no such host."""


Hosts = dict[str, dict[str, Any]]
"""The variables of each host of the group `app`."""


def verify_files(sources: Sequence[Path]) -> None:
    """Verify that each file of an inventory is YAML with names and values.

    Ansible names neither file nor line of broken variables, and takes the lines of a broken hosts.yml for hosts.

    Raises:
        InventoryError: one is not; the message has its line and column.
    """
    for file in (file for source in sources for file in files(source)):
        try:
            text = file.read_text(encoding="utf-8")
            node = None if text.startswith("$ANSIBLE_VAULT") else yaml.compose(text, Loader=yaml.SafeLoader)
        except OSError as error:
            raise InventoryError(f"{file} cannot be read: {error.strerror}.") from None
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            place = f"{file}:{mark.line + 1}:{mark.column + 1}" if mark else str(file)
            raise InventoryError(f"{place} is not YAML: {error.problem}. Correct that line or the one above.") from None
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise InventoryError(f"{file} is not YAML: {error}. Correct it.") from None
        if node is not None and not isinstance(node, yaml.MappingNode):
            line = node.start_mark.line + 1
            raise InventoryError(f"{file}:{line}: expected `name: value`, and found no name. Correct it.")


def files(source: Path) -> list[Path]:
    """Return the files of YAML that Ansible reads for an inventory: its hosts, and the variables beside them."""
    folder, hosts = (source, source / "hosts.yml") if source.is_dir() else (source.parent, source)
    variables = [file for name in ("group_vars", "host_vars") for file in sorted((folder / name).rglob("*.y*ml"))]
    # An executable file is a program that prints an inventory.
    return [file for file in (hosts, *variables) if file.is_file() and not os.access(file, os.X_OK)]


def load(sources: Sequence[Path], program: str = "") -> dict[str, Any]:
    """Return what `ansible-inventory --list` prints: groups, and the variables of hosts.

    Raises:
        InventoryError: it cannot be read.
    """
    verify_files(sources)
    command = [program or own("ansible-inventory"), *(f"--inventory={source}" for source in sources), "--list"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=os.environ | CONFIG, check=False)
    except OSError as error:
        raise InventoryError(f"{command[0]} cannot be run ({error.strerror}). Install ansible-core.") from None
    try:
        loaded: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        raise InventoryError(f"{sources[0]} cannot be read: {done.stderr.strip()}") from None
    return loaded


def app_hosts(loaded: dict[str, Any], source: Path) -> Hosts:
    """Return the hosts of the group `app`.

    Raises:
        InventoryError: there are none.
    """
    names = loaded.get("app", {}).get("hosts", [])
    if not names:
        raise InventoryError(f"{source} has no hosts in the group `app`. Name one in its hosts.yml.")
    return {name: loaded["_meta"]["hostvars"].get(name, {}) for name in names}


def read(sources: Sequence[Path], program: str = "") -> Hosts:
    """Read the hosts of an inventory.

    Raises:
        InventoryError: it has no hosts in the group `app`, or cannot be read.
    """
    return app_hosts(load(sources, program), sources[0])


def with_data(sources: Sequence[Path]) -> Hosts:
    """Read the hosts of the groups `data` and `app`, a data host of its own first. `app` of each: it is in that group.

    Raises:
        InventoryError: there are none in the group `app`, or the inventory cannot be read.
    """
    loaded = load(sources)
    apps = app_hosts(loaded, sources[0])
    data = [name for name in loaded.get("data", {}).get("hosts", []) if name not in apps]
    return {name: {**loaded["_meta"]["hostvars"].get(name, {}), "app": name in apps} for name in [*data, *apps]}


def chosen(hosts: Hosts, name: str) -> Hosts:
    """Return the host of this name alone; all of them without a name.

    Raises:
        InventoryError: there is no such host.
    """
    if not name:
        return hosts
    if name not in hosts:
        raise InventoryError(f"No host {name!r} in this environment. There is: {', '.join(hosts)}")
    return {name: hosts[name]}


def admin(values: dict[str, Any]) -> str:
    """Return who provisions a host: ansible_user is one host's, host_admin all of them's."""
    return str(values.get("ansible_user") or values.get("host_admin") or "root")


def ssh(name: str, values: dict[str, Any], user: str, *options: str) -> list[str]:
    """Return the ssh command that reaches a host as the inventory says."""
    return [str(values.get("ansible_ssh_executable", "ssh")), *options, *arguments(name, values, user)]
