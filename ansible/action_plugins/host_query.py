"""Ansible action: run a command that only reads, without a Python on the host.

An action, since C(command) is a module: packed here, sent, unpacked and loaded by Python on the host, which takes ten
times as long as what these commands do.
"""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from slipway.controller.ansible import query

DOCUMENTATION = r"""
---
module: host_query
short_description: Run a command that only reads
description:
  - Fails where the command does, as C(command). Reports no change, and runs in check mode as well.
  - The output is in English.
options:
  argv:
    description: The command and its arguments.
    type: list
    elements: str
    required: true
author:
  - Slipway
"""

EXAMPLES = r"""
- name: Get the host's memory
  host_query:
    argv: [cat, /proc/meminfo]
  register: meminfo
"""

RETURN = r"""
rc:
  description: The exit status.
  type: int
  returned: always
stdout:
  description: The output; also by lines, as C(stdout_lines).
  type: str
  returned: always
stderr:
  description: The error output; also by lines, as C(stderr_lines).
  type: str
  returned: always
"""


class ActionModule(ActionBase):  # type: ignore[misc]
    """The action."""

    _requires_connection = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the command on the host."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, params = self.validate_argument_spec({"argv": {"type": "list", "elements": "str", "required": True}})
        return result | {"changed": False} | query(self, params["argv"])
