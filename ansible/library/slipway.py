#!/usr/bin/python
"""Ansible module: one command of the engine on the host."""

from __future__ import annotations

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

import json
from typing import Any

from ansible.module_utils.basic import AnsibleModule

ENGINE = "/usr/local/bin/slipway"

# What changes nothing on a host, or nothing that counts: a place for files, and waiting for what another command began.
_CHANGES_NOTHING = ("status", "ship-begin", "wait")


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "command": {"type": "list", "elements": "str", "required": True},
            "manifest": {"type": "dict"},
        },
        supports_check_mode=True,
    )
    command = module.params["command"]
    if module.check_mode and command[0] != "status":
        module.exit_json(changed=False, skipped=True, msg=f"check mode: slipway {' '.join(command)} is not run")
    if not module.get_bin_path(ENGINE):
        module.fail_json(
            msg="This host is not provisioned: it has no /usr/local/bin/slipway. Provision it first: "
            "make provision ENV=<environment>"
        )
    manifest = module.params["manifest"]
    status, out, err = module.run_command(
        [ENGINE, *command], data=None if manifest is None else json.dumps(manifest), binary_data=True
    )
    if status:
        module.fail_json(
            msg=err.strip() or out.strip() or f"slipway {command[0]} ended with status {status}", rc=status
        )
    module.exit_json(changed=command[0] not in _CHANGES_NOTHING, answer=_parsed(out), msg=(err or out).strip())


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text.strip()


if __name__ == "__main__":
    main()
