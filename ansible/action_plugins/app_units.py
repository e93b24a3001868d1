"""Ansible action: render the units of the app from the site's variables, on the controller (slipway.units)."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from slipway.units import Site, render

DOCUMENTATION = r"""
---
module: app_units
short_description: Render the systemd units of the app
description:
  - Runs on the controller and touches nothing. The role writes the files that it returns.
options:
  systemd:
    description: The folder with the units and drop-ins that need no variable.
    type: path
    required: true
  egress:
    description: What the app may reach.
    type: str
    choices: [none, host, networks, internet]
    required: true
  egress_networks:
    description: The networks that the app may reach, for I(egress=networks).
    type: list
    elements: str
    default: []
  resolvers:
    description: Addresses of the host's DNS servers.
    type: list
    elements: str
    default: []
  workload:
    description: Whether requests mostly wait or compute.
    type: str
    required: true
  workers:
    description: The number of workers, 0 to compute it on the host.
    type: int
    required: true
  memory_max:
    description: Memory of one release, as systemd writes it.
    type: str
    required: true
  memory_high:
    description: Memory from which on a release is slowed down. Empty derives it from O(memory_max), as in the next one.
    type: str
    default: ""
  swap_max:
    description: Swap that a release may use.
    type: str
    default: ""
  preload:
    description: Import the app once, before the workers are forked.
    type: bool
    required: true
  allow_jit:
    description: Let the app write machine code while it runs.
    type: bool
    required: true
  writable:
    description: Folders of the image that the app may write.
    type: list
    elements: str
    default: []
  secrets:
    description: The names of the app's secrets.
    type: list
    elements: str
    default: []
  request_timeout:
    description: Seconds that a request may take.
    type: int
    required: true
  process_stop_timeout:
    description: Seconds that a process has to finish its work.
    type: int
    required: true
  migrate_timeout:
    description: Seconds that migrations have.
    type: int
    required: true
  processes:
    description: Entries of app_processes.
    type: list
    elements: dict
    default: []
  jobs:
    description: Entries of app_jobs.
    type: list
    elements: dict
    default: []
  data:
    description: What the data host gives to the units. Without it there is no data host.
    type: dict
    suboptions:
      local:
        description: The data host is the app host itself.
        type: bool
        required: true
      broker:
        description: There is a broker.
        type: bool
        required: true
      connections:
        description: Connections to PostgreSQL of one release's web workers together.
        type: int
        required: true
      process_connections:
        description: Connections of each process that names no number.
        type: int
        required: true
      tcp:
        description: A local data host is reached by the loopback of each unit's own network.
        type: bool
        required: true
      names:
        description: The variables app_database_scheme, app_database_url and app_data_environment.
        type: dict
        required: true
  private_processes:
    description: The host's systemd has C(PrivatePIDs=).
    type: bool
    required: true
  backup:
    description: The host has backups.
    type: bool
    default: false
  backup_wal:
    description: The host's PostgreSQL archives its WAL.
    type: bool
    default: false
  runs_singletons:
    description: This host runs the jobs and the single processes.
    type: bool
    required: true
author:
  - Slipway
"""

EXAMPLES = r"""
- name: Render the units
  app_units:
    systemd: ../systemd
    egress: none
    workload: io
    workers: 0
    memory_max: 512M
    preload: true
    allow_jit: false
    request_timeout: 30
    process_stop_timeout: 60
    migrate_timeout: 300
    private_processes: true
    runs_singletons: true
  register: app_units
"""

RETURN = r"""
files:
  description: Each path below /etc/systemd/system with its text.
  type: dict
  returned: success
names:
  description: The unit files among them, without drop-ins.
  type: list
  elements: str
  returned: success
folders:
  description: The folders of drop-ins.
  type: list
  elements: str
  returned: success
deployable:
  description: The templates that the user deploy may start and stop, without the suffix.
  type: list
  elements: str
  returned: success
enabled:
  description: Units that are enabled or must not be, each with which.
  type: dict
  returned: success
timers:
  description: Timers of jobs and backups, each with whether it runs on this host.
  type: dict
  returned: success
message_pattern:
  description: A regular expression for lines of systemd-analyze that name one of these units.
  type: str
  returned: success
"""

REQUIRED = {"required": True}
STRINGS: dict[str, Any] = {"type": "list", "elements": "str", "default": []}
ENTRIES: dict[str, Any] = {"type": "list", "elements": "dict", "default": []}
ARGUMENTS: dict[str, Any] = {
    "systemd": {"type": "path", **REQUIRED},
    "egress": {"type": "str", "choices": ["none", "host", "networks", "internet"], **REQUIRED},
    "egress_networks": STRINGS,
    "writable": STRINGS,
    "resolvers": STRINGS,
    "workload": {"type": "str", **REQUIRED},
    "workers": {"type": "int", **REQUIRED},
    "memory_max": {"type": "str", **REQUIRED},
    "memory_high": {"type": "str", "default": ""},
    "swap_max": {"type": "str", "default": ""},
    "preload": {"type": "bool", **REQUIRED},
    "allow_jit": {"type": "bool", **REQUIRED},
    "secrets": STRINGS | {"no_log": False},
    "request_timeout": {"type": "int", **REQUIRED},
    "process_stop_timeout": {"type": "int", **REQUIRED},
    "migrate_timeout": {"type": "int", **REQUIRED},
    "processes": ENTRIES,
    "jobs": ENTRIES,
    "data": {
        "type": "dict",
        "options": {
            "local": {"type": "bool", **REQUIRED},
            "broker": {"type": "bool", **REQUIRED},
            "connections": {"type": "int", **REQUIRED},
            "process_connections": {"type": "int", **REQUIRED},
            "tcp": {"type": "bool", **REQUIRED},
            "names": {"type": "dict", **REQUIRED},
        },
    },
    "backup": {"type": "bool", "default": False},
    "backup_wal": {"type": "bool", "default": False},
    "private_processes": {"type": "bool", **REQUIRED},
    "runs_singletons": {"type": "bool", **REQUIRED},
}


class ActionModule(ActionBase):  # type: ignore[misc]
    """The action."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Render the units.

        Raises:
            AnsibleActionFail: an argument has the wrong type, or a file of the folder `systemd` is missing.
        """
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, values = self.validate_argument_spec(ARGUMENTS)
        folder = Path(values.pop("systemd"))
        systemd = {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*.*") if path.is_file()}
        try:
            units = render(Site.parse(values), systemd)
        except KeyError as error:
            raise AnsibleActionFail(
                f"{folder} has no {error.args[0]}. "
                "Set slipway_root to the folder that has nginx/, systemd/ and slipway/."
            ) from None
        except ValueError as error:
            raise AnsibleActionFail(str(error)) from None
        return result | {"changed": False} | asdict(units)
