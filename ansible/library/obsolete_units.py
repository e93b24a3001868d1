#!/usr/bin/python
"""Ansible module: remove units that Slipway installed and that the variables no longer name."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: obsolete_units
short_description: Stop and remove obsolete units
description:
  - A process that was taken out of app_processes or a job out of app_jobs leaves its units behind. They are disabled,
    stopped in all instances, and removed with their drop-ins.
  - A file without I(marker) is not Slipway's and stays.
options:
  current:
    description: Names of the unit files that stay.
    type: list
    elements: str
    required: true
  patterns:
    description: Globs of the names that are considered.
    type: list
    elements: str
    required: true
  folder:
    description: Where the unit files are.
    type: path
    default: /etc/systemd/system
  marker:
    description: The beginning of a line that each file of Slipway has.
    type: str
    default: "# Managed by Slipway"
author:
  - Slipway
"""

EXAMPLES = r"""
- name: Remove obsolete units
  obsolete_units:
    current: [app-worker.1@.service]
    patterns: [app-*@.service]
  notify: Reload systemd
"""

RETURN = r"""
removed:
  description: The unit files that were removed, or would be.
  type: list
  elements: str
  returned: success
"""

import shutil
from fnmatch import fnmatchcase
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule


def find(folder: Path, patterns: list[str], marker: str, current: list[str]) -> list[str]:
    """List obsolete unit files, timers first: a timer must not start a service that was just stopped."""
    found = [
        path.name
        for path in folder.iterdir()
        if path.name not in current
        and any(fnmatchcase(path.name, pattern) for pattern in patterns)
        and path.is_file()
        and any(line.startswith(marker) for line in path.read_text(errors="replace").splitlines())
    ]
    return sorted(found, key=lambda name: (not name.endswith(".timer"), name))


def instances(name: str) -> str:
    """Name all instances of a template for systemctl, or the unit itself."""
    return name.replace("@.", "@*.")


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "current": {"type": "list", "elements": "str", "required": True},
            "patterns": {"type": "list", "elements": "str", "required": True},
            "folder": {"type": "path", "default": "/etc/systemd/system"},
            "marker": {"type": "str", "default": "# Managed by Slipway"},
        },
        supports_check_mode=True,
    )
    folder = Path(module.params["folder"])
    obsolete = find(folder, module.params["patterns"], module.params["marker"], module.params["current"])
    if obsolete and not module.check_mode:
        if timers := [name for name in obsolete if name.endswith(".timer")]:
            module.run_command(["systemctl", "disable", *timers], check_rc=True)
        module.run_command(["systemctl", "stop", *map(instances, obsolete)], check_rc=True)
        for name in obsolete:
            (folder / name).unlink()
            shutil.rmtree(folder / f"{name}.d", ignore_errors=True)
    module.exit_json(changed=bool(obsolete), removed=obsolete)


if __name__ == "__main__":
    main()
