#!/usr/bin/python
"""Ansible module: users who could log in over SSH by a password alone."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: login_keys
short_description: Find users who have a password and no key
description:
  - Changes nothing. Looks at the users whose shell is one of /etc/shells and who have a password, and at the files that
    sshd reads their keys from.
author:
  - Slipway
"""

EXAMPLES = r"""
- name: Find users without a key
  login_keys:
  register: login_keys
"""

RETURN = r"""
without_key:
  description: The users who could not log in any more without passwords.
  type: list
  elements: str
  returned: success
"""

import pwd
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule


def passwords(shadow: str) -> set[str]:
    """Return the users who have a password that works."""
    rows = [line.split(":") for line in shadow.splitlines() if ":" in line]
    return {row[0] for row in rows if row[1] and row[1][0] not in "!*"}


def key_files(settings: str, name: str, home: str) -> list[Path]:
    """Return the files in which sshd looks for a user's keys, from the output of `sshd -T`."""
    values = dict(line.partition(" ")[::2] for line in settings.splitlines())
    files = values.get("authorizedkeysfile", "").split()
    filled = [each.replace("%%", "%").replace("%h", home).replace("%u", name) for each in files if each != "none"]
    return [Path(home, each) for each in filled]


def has_key(settings: str, files: list[Path]) -> bool:
    """Whether sshd finds any key, by a file or by a command."""
    values = dict(line.partition(" ")[::2] for line in settings.splitlines())
    if values.get("authorizedkeyscommand", "none") != "none" or values.get("trustedusercakeys", "none") != "none":
        return True
    for file in files:
        try:
            lines = file.read_text(errors="replace").splitlines()
        except OSError:
            continue
        if any(line.strip() and not line.lstrip().startswith("#") for line in lines):
            return True
    return False


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    with_password = passwords(Path("/etc/shadow").read_text())
    shells = {line.strip() for line in Path("/etc/shells").read_text().splitlines() if line.startswith("/")}
    without = []
    for user in pwd.getpwall():
        if user.pw_name not in with_password or user.pw_shell not in shells:
            continue
        who = f"user={user.pw_name},host=localhost,addr=127.0.0.1"
        _, settings, _ = module.run_command(["/usr/sbin/sshd", "-T", "-C", who], check_rc=True)
        root_refused = user.pw_uid == 0 and "permitrootlogin yes" not in settings.splitlines()
        if not root_refused and not has_key(settings, key_files(settings, user.pw_name, user.pw_dir)):
            without.append(user.pw_name)
    module.exit_json(changed=False, without_key=without)


if __name__ == "__main__":
    main()
