#!/usr/bin/python
"""Ansible module: the app's secrets as root's files."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: app_secrets
short_description: Write the app's secrets where systemd reads them
description:
  - Each secret is a file that only root can read; the units hand them to the app as credentials. A file that is not
    among the secrets is removed.
  - A keyed hash of all secrets is published, so that the user C(deploy) sees that they changed, and nothing more.
options:
  secrets:
    description: Names and values.
    type: dict
    required: true
  directory:
    description: Where the files are.
    type: path
    default: /etc/app/secrets
  key:
    description: The key of the hash; made once.
    type: path
    default: /etc/app/secrets.key
  hash:
    description: The published hash.
    type: path
    default: /etc/slipway/secrets.hash
author:
  - Slipway
"""

EXAMPLES = r"""
- name: Write the secrets
  app_secrets:
    secrets: "{{ app_secrets }}"
  no_log: true
"""

RETURN = r"""
names:
  description: The secrets that were written, changed or removed, by name.
  type: list
  elements: str
  returned: success
"""

import hashlib
import hmac
import json
import secrets as random
import tempfile
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule


def digest(key: bytes, secrets: dict[str, str]) -> str:
    """Return the keyed hash of `secrets`, in hex."""
    canonical = json.dumps(secrets, sort_keys=True, separators=(",", ":"))
    return hmac.new(key, canonical.encode(), hashlib.sha256).hexdigest()


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "secrets": {"type": "dict", "required": True, "no_log": True},
            "directory": {"type": "path", "default": "/etc/app/secrets", "no_log": False},
            "key": {"type": "path", "default": "/etc/app/secrets.key", "no_log": False},
            "hash": {"type": "path", "default": "/etc/slipway/secrets.hash"},
        },
        supports_check_mode=True,
    )
    secrets = {name: str(value) for name, value in module.params["secrets"].items()}
    directory, key, published = (Path(module.params[name]) for name in ("directory", "key", "hash"))
    there = {file.name for file in directory.iterdir()} if directory.is_dir() else set()

    changed = [name for name, value in secrets.items() if _put(module, directory / name, value, "0600")]
    for name in there - set(secrets):
        changed.append(name)
        if not module.check_mode:
            (directory / name).unlink()

    if not key.exists():
        _put(module, key, random.token_hex(32), "0600")
    if key.exists():  # not on a bare host in check mode
        _put(module, published, digest(key.read_bytes(), secrets) + "\n", "0644")
    module.exit_json(changed=bool(changed) or not published.exists(), names=sorted(changed))


def _put(module: AnsibleModule, path: Path, text: str, mode: str) -> bool:
    """Give the file this content and mode, at once and never readable by others; return whether that changed it."""
    different = not path.exists() or path.read_bytes() != text.encode()
    if different and not module.check_mode:
        with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:  # made with mode 0600
            file.write(text)
        module.atomic_move(file.name, str(path))
    if different and module.check_mode:
        return True
    return bool(module.set_mode_if_different(str(path), mode, different))


if __name__ == "__main__":
    main()
