"""Ansible action: the states of several units by one call of systemctl, without a Python there (see host_query.py)."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from slipway.controller.ansible import query

DOCUMENTATION = r"""
---
module: unit_states
short_description: Get the states of units
description:
  - C(systemd_service) costs a round trip for each unit. A role gets the states of all its units first, and calls
    C(systemd_service) only for a unit that differs.
options:
  units:
    description: Names of units. One that does not exist is neither active nor enabled.
    type: list
    elements: str
    required: true
author:
  - Slipway
"""

EXAMPLES = r"""
- name: Get the units' states
  unit_states:
    units: [nginx.socket, nginx.service]
  register: nginx

- name: Enable nginx
  ansible.builtin.systemd_service:
    name: nginx.service
    enabled: true
  when: not nginx.units['nginx.service'].enabled
"""

RETURN = r"""
units:
  description: Each unit with its state.
  type: dict
  returned: success
  contains:
    active:
      description: ActiveState is active.
      type: bool
    enabled:
      description: UnitFileState is enabled.
      type: bool
    needs_reload:
      description: Files of the unit have changed since systemd read them.
      type: bool
    listen:
      description: The addresses of a socket unit, sorted.
      type: list
      elements: str
"""

PROPERTIES = "ActiveState,UnitFileState,NeedDaemonReload,Listen"


def parse(text: str, units: list[str]) -> dict[str, dict[str, Any]]:
    """Read the output of `systemctl show`: a block per unit, in the order of the arguments, with an empty line between.

    Raises:
        ValueError: there are more or fewer blocks than units.
    """
    blocks = text.strip().split("\n\n") if text.strip() else []
    if len(blocks) != len(units):
        raise ValueError(f"systemctl show returned {len(blocks)} blocks for {len(units)} units: {text!r}")
    return {unit: _state(block.splitlines()) for unit, block in zip(units, blocks, strict=True)}


def _state(lines: list[str]) -> dict[str, Any]:
    return {
        "active": "ActiveState=active" in lines,
        "enabled": "UnitFileState=enabled" in lines,
        "needs_reload": "NeedDaemonReload=yes" in lines,
        # Listen=0.0.0.0:80 (Stream)
        "listen": sorted(line.split("=", 1)[1].rsplit(" ", 1)[0] for line in lines if line.startswith("Listen=")),
    }


class ActionModule(ActionBase):  # type: ignore[misc]
    """The action."""

    _requires_connection = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Get the states. Runs in check mode as well.

        Raises:
            AnsibleActionFail: systemctl failed, or its output does not fit the units.
        """
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, params = self.validate_argument_spec({"units": {"type": "list", "elements": "str", "required": True}})
        ended = query(self, ["systemctl", "show", f"--property={PROPERTIES}", "--", *params["units"]])
        if ended["rc"]:
            raise AnsibleActionFail(ended["msg"])
        try:
            return result | {"changed": False, "units": parse(ended["stdout"], params["units"])}
        except ValueError as error:
            raise AnsibleActionFail(str(error)) from None
