"""Ansible action: one command of the engine on the host.

An action, not a module: a module is a program that Ansible sends over and that Python compiles anew on each call, a
third of a second on top of the engine's own time, and a deploy gives it six commands.
"""

from __future__ import annotations

import json
import shlex
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

DOCUMENTATION = r"""
---
module: slipway
short_description: Run a command of the engine and pass on what it says
description:
  - Runs C(slipway) on the host, as the user of the connection. Says what the engine says, whether it went well or not,
    so that a failed deploy shows its cause and nothing else.
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
  description: What the command printed, parsed if it is JSON.
  type: raw
  returned: success
msg:
  description: What it printed for people, or why it failed.
  type: str
  returned: always
"""

ENGINE = "/usr/local/bin/slipway"
# What a shell says of a program that is not there.
_NOT_FOUND = 127

# What changes nothing on a host, or nothing that counts: a place for files, and waiting for what another command began.
_CHANGES_NOTHING = ("status", "ship-begin", "wait")


class ActionModule(ActionBase):  # type: ignore[misc]
    """The action."""

    _requires_connection = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the command on the host.

        Raises:
            AnsibleActionFail: there is no engine, or the command failed; the text is what it said.
        """
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, asked = self.validate_argument_spec(
            {
                "command": {"type": "list", "elements": "str", "required": True},
                "manifest": {"type": "dict"},
            }
        )
        command, manifest = asked["command"], asked["manifest"]
        if self._task.check_mode and command[0] != "status":
            return result | {"skipped": True, "msg": f"check mode: slipway {' '.join(command)} is not run"}
        # Without a terminal, which would mix what is said with what is answered.
        ended = self._low_level_execute_command(
            shlex.join([ENGINE, *command]),
            sudoable=False,
            in_data=None if manifest is None else json.dumps(manifest).encode(),
        )
        out, err = ended["stdout"].strip(), ended["stderr"].strip()
        if ended["rc"] == _NOT_FOUND:
            raise AnsibleActionFail(
                f"This host is not provisioned: it has no {ENGINE}. Provision it first: "
                "make provision ENV=<environment>"
            )
        if ended["rc"]:
            raise AnsibleActionFail(err or out or f"slipway {command[0]} ended with status {ended['rc']}")
        return result | {"changed": command[0] not in _CHANGES_NOTHING, "answer": _parsed(out), "msg": out or err}


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
