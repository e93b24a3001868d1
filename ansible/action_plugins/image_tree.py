"""Ansible action: make an image ready to be shipped.

An action, since it runs on the controller anyhow: as a module it would be packed, and compiled anew by a Python of its
own, on each deploy (see slipway.py).
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import ansible.module_utils
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

# Ansible itself looks there only when it packs a module.
ansible.module_utils.__path__.append(str(Path(__file__).resolve().parents[1] / "module_utils"))

from ansible.module_utils.slipway_image import (  # noqa: E402
    Docker,
    ImageError,
    cached_tree,
    check_tree,
    find_docker,
    prune,
    read_image,
    read_procfile,
    unpack,
)
from ansible.module_utils.slipway_settings import SettingsError, read_settings  # noqa: E402

DOCUMENTATION = r"""
---
module: image_tree
short_description: Check an OCI image against the contract and unpack its file system
description:
  - Runs on the controller. Reads the image by the docker CLI, checks each line of the contract, unpacks the file
    system into a cache (as any user, no root needed) and returns what the engine needs to know to ship it.
  - Never reports a change, since nothing but a cache on the controller does.
  - In check mode nothing is unpacked; what needs the file system is then checked only if it was unpacked before.
options:
  image:
    description: Name, name@digest or id of the image.
    type: str
    required: true
  pull:
    description: Pull the image when it is not on this machine.
    type: bool
    default: true
  cache:
    description: Directory for unpacked images.
    type: path
    required: true
  docker:
    description: The docker CLI. Without it /usr/bin/docker, else the first in PATH.
    type: str
  settings_file:
    description: The env file with the environment's settings. Without it there are none.
    type: path
author:
  - Slipway
"""

EXAMPLES = r"""
- name: Make the image ready
  image_tree:
    image: registry.example.com/app:1.4
    cache: .cache/images
    settings_file: inventories/production/settings.env
"""

RETURN = r"""
image:
  description: name, id, architecture, commit (or null) and short (seven hex digits) of the image.
  type: dict
  returned: success
tree:
  description: Where its file system is on the controller; null in check mode if it is not.
  type: str
  returned: success
manifest:
  description: What `slipway ship-begin` reads, but for who deploys and how.
  type: dict
  returned: success
time:
  description: The time on the controller in UTC, as the name of a release begins, such as 20261122T105851.
  type: str
  returned: success
notes:
  description: What the image says and a deploy does not use.
  type: list
  elements: str
  returned: success
"""


class ActionModule(ActionBase):  # type: ignore[misc]
    """The action."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Check the image and unpack it.

        Raises:
            AnsibleActionFail: it breaks the contract, or cannot be had; the text says what to do.
        """
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, asked = self.validate_argument_spec(
            {
                "image": {"type": "str", "required": True},
                "pull": {"type": "bool", "default": True},
                "cache": {"type": "path", "required": True},
                "docker": {"type": "str"},
                "settings_file": {"type": "path"},
            }
        )
        cache, docker = Path(asked["cache"]), Docker(asked["docker"] or find_docker())
        try:
            settings = read_settings(Path(asked["settings_file"])) if asked["settings_file"] else {}
            image = read_image(asked["image"], docker.inspect(asked["image"], pull=asked["pull"]))
            tree = cached_tree(cache, image)
            if tree is None and not self._task.check_mode:
                tree = unpack(docker, cache, image)
                prune(cache)
            procfile = {}
            if tree is not None:
                check_tree(image, tree.path)
                procfile = read_procfile(image, tree.path)
        except (ImageError, SettingsError) as error:
            raise AnsibleActionFail(str(error)) from None
        return result | {
            "image": {
                "name": image.name,
                "id": image.id,
                "architecture": image.architecture,
                "commit": image.commit,
                "short": image.short,
            },
            "time": datetime.now(UTC).strftime("%Y%m%dT%H%M%S"),
            "tree": str(tree.path) if tree else None,
            "manifest": {
                "commit": image.commit,
                "image": image.id,
                "image_name": image.name,
                "architecture": image.architecture,
                "entrypoint": image.entrypoint,
                "cmd": image.cmd,
                "env": image.env,
                "workdir": image.workdir,
                "procfile": procfile,
                "settings": settings,
                "bytes": tree.bytes if tree else 0,
                "inodes": tree.inodes if tree else 0,
            },
            "notes": image.notes,
        }
