"""Ansible action: refuse variables that look like a role's and are none (slipway.controller.variables)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from slipway.controller.variables import not_text, of_roles, unknown_names

DOCUMENTATION = r"""
---
module: verify_variables
short_description: Refuse variables of the inventory that no role knows
description:
  - Runs on the controller. A misspelt variable would otherwise be ignored without a word, and a secret that YAML reads
    as a number would reach the app as another text.
options:
  roles:
    description: The folder of the roles. Each documents its variables in meta/argument_specs.yml.
    type: path
    required: true
  hosts:
    description: The hosts whose variables are verified.
    type: list
    elements: str
    required: true
  secrets:
    description: Whether to verify as well that each of app_secrets is text.
    type: bool
    default: false
author:
  - Slipway
"""

EXAMPLES = r"""
- name: Verify the names of variables
  verify_variables:
    roles: roles
    hosts: "{{ groups['all'] }}"
"""

RETURN = r"""
# Nothing but whether it failed.
"""


class ActionModule(ActionBase):  # type: ignore[misc]
    """The action."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Compare the names.

        Raises:
            AnsibleActionFail: a host has a variable that no role knows, or a secret that is no text.
        """
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, values = self.validate_argument_spec(
            {
                "roles": {"type": "path", "required": True},
                "hosts": {"type": "list", "elements": "str", "required": True},
                "secrets": {"type": "bool", "default": False},
            }
        )
        roles = of_roles(Path(values["roles"]))
        hostvars = (task_vars or {})["hostvars"]
        wrong = unknown_names((name for host in values["hosts"] for name in hostvars[host]), roles)
        if wrong:
            lines = [f"{name} ({about})" if about else name for name, about in wrong.items()]
            raise AnsibleActionFail(
                f"The inventory sets {', '.join(lines)}, and no role has such a variable. Names that begin with "
                f"{', '.join(f'{role}_' for role in sorted(roles))} or slipway_ are Slipway's: correct the name, or "
                "rename a variable of your own. All variables: docs/reference/variables.md"
            )
        # As well as where the vault is loaded: the specification of the role's arguments would stop at a date.
        # For site.yml alone: only that verb has the vault's password.
        for host in values["hosts"] if values["secrets"] else []:
            secrets = hostvars[host].get("app_secrets")
            if isinstance(secrets, Mapping) and (found := not_text(secrets)):
                name, kind = next(iter(found.items()))
                raise AnsibleActionFail(
                    f"app_secrets: YAML reads {name} as {kind}; a secret must be text. Quote the value in the "
                    f'inventory: {name}: "..."'
                )
        return result | {"changed": False}
