"""Ansible action: the module obsolete_units, only where a unit may be obsolete (see managed_files.py)."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from slipway.controller.ansible import query

FOLDER = "/etc/systemd/system"
"""The module's default."""


class ActionModule(ActionBase):  # type: ignore[misc]
    """The action."""

    _requires_connection = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """List the units that match, and run the module if one is not among the current ones. Also in check mode."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        args = self._task.args
        names = [word for pattern in args.get("patterns", []) for word in ("-o", "-name", pattern)][1:]
        if names:
            argv = ["find", args.get("folder", FOLDER), "-mindepth", "1", "-maxdepth", "1", "(", *names, ")"]
            listed = query(self, [*argv, "-printf", "%f\\n"])
            if not listed["rc"] and set(listed["stdout"].splitlines()) <= set(args.get("current", [])):
                return result | {"changed": False, "removed": []}
        ran: dict[str, Any] = self._execute_module(task_vars=task_vars)
        return result | ran
