"""Ansible action: one command of the engine on the host.

An action, not a module: Ansible sends a module over and Python compiles it on each call, which takes a third of a
second on top of the engine's own time, and a deploy runs six commands.
"""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

DOCUMENTATION = r"""
---
module: slipway
short_description: Run a command of the engine and return its output
description:
  - Runs C(slipway) on the host, as the user of the connection. Returns the engine's output on success and fails with
    its error output, so that a failed deploy shows its cause and nothing else.
  - In check mode only C(status) is run.
options:
  command:
    description: The command and its arguments.
    type: list
    elements: str
    required: true
  manifest:
    description: Handed to the command as JSON, for C(ship-begin).
    type: dict
author:
  - Slipway
"""

EXAMPLES = r"""
- name: Wait until the release is live
  slipway:
    command: [wait, 20261122T105851-3f2a9c1, --for, live]
"""

RETURN = r"""
answer:
  description: The command's output, parsed if it is JSON.
  type: raw
  returned: success
told:
  description: What the engine wrote beside its output.
  type: list
  elements: str
  returned: success
msg:
  description: The command's output for people, or why it failed.
  type: str
  returned: always
"""

ENGINE = "/usr/local/bin/slipway"
# A shell's exit status for a program that is not there.
_NOT_FOUND = 127

# Before each message of the engine's on its error output.
_OWN = "slipway: "

# Commands that change nothing on a host, or nothing that counts: a folder for files, and waiting for another command.
_CHANGES_NOTHING = ("status", "ship-begin", "wait")


class ActionModule(ActionBase):  # type: ignore[misc]
    """The action."""

    _requires_connection = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the command on the host.

        Raises:
            AnsibleActionFail: there is no engine, or the command failed; the message is the error output.
        """
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, params = self.validate_argument_spec(
            {
                "command": {"type": "list", "elements": "str", "required": True},
                "manifest": {"type": "dict"},
            }
        )
        command, manifest = params["command"], params["manifest"]
        if self._task.check_mode and command[0] != "status":
            return result | {"skipped": True, "msg": f"check mode: slipway {' '.join(command)} is not run"}
        # Without a terminal, which would mix output and error output.
        ended = self._low_level_execute_command(
            shlex.join([ENGINE, *command]),
            sudoable=False,
            in_data=None if manifest is None else json.dumps(manifest).encode(),
        )
        output, error = ended["stdout"].strip(), ended["stderr"].strip()
        if ended["rc"] == _NOT_FOUND:
            environment = Path((task_vars or {}).get("inventory_dir") or "<environment>").name
            raise AnsibleActionFail(
                f"This host is not provisioned: it has no {ENGINE}. Provision it first: slipway provision {environment}"
            )
        if ended["rc"]:
            raise AnsibleActionFail(error or output or f"slipway {command[0]} ended with status {ended['rc']}")
        return result | {
            "changed": command[0] not in _CHANGES_NOTHING,
            "answer": _parsed(output),
            "msg": output or error,
            # Not what ssh prints.
            "told": [line.removeprefix(_OWN) for line in error.splitlines() if line.startswith(_OWN)],
        }


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
