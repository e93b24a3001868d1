"""Ansible action: make an image ready to be shipped.

An action, since it runs on the controller anyhow: a module would be packed, and compiled by a Python of its own, on
each deploy (see slipway.py).
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from slipway.controller.image import cache as images
from slipway.controller.image.check import check_tree, read_procfile
from slipway.controller.image.command import hidden_notes
from slipway.controller.image.config import read_image, unused
from slipway.controller.image.docker import Docker, find_docker
from slipway.controller.settings import read_settings
from slipway.model.errors import SlipwayError
from slipway.model.manifest import Manifest

DOCUMENTATION = r"""
---
module: image_tree
short_description: Check an OCI image against the contract and unpack its file system
description:
  - Runs on the controller. Reads the image by the docker CLI, checks each line of the contract, unpacks the file
    system into a cache (as any user, no root needed) and returns the manifest that the engine needs.
  - Never reports a change: only a cache on the controller changes.
  - In check mode nothing is unpacked; the file system is then checked only if it was unpacked before.
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
  command:
    description: Runs instead of the image's ENTRYPOINT and CMD, by the image's shell.
    type: str
  port:
    description: The port that the app listens on by itself; 0 for what the image says.
    type: int
    default: 0
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
  description: The manifest that `slipway ship-begin` reads; jobs, secrets and who deploys are the role's to add.
  type: dict
  returned: success
time:
  description: The time on the controller in UTC, as the name of a release begins, such as 20261122T105851.
  type: str
  returned: success
notes:
  description: Parts of the image's configuration that a deploy does not use.
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
            AnsibleActionFail: the image breaks the contract or cannot be read; the message says what to change.
        """
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, params = self.validate_argument_spec(
            {
                "image": {"type": "str", "required": True},
                "pull": {"type": "bool", "default": True},
                "cache": {"type": "path", "required": True},
                "docker": {"type": "str"},
                "settings_file": {"type": "path"},
                "command": {"type": "str", "default": ""},
                "port": {"type": "int", "default": 0},
            }
        )
        cache, docker = Path(params["cache"]), Docker(params["docker"] or find_docker())
        try:
            settings = read_settings(Path(params["settings_file"])) if params["settings_file"] else {}
            inspected = docker.inspect(params["image"], pull=params["pull"])
            image = read_image(params["image"], inspected, params["command"], params["port"])
            tree = images.cached_tree(cache, image)
            if tree is None and not self._task.check_mode:
                tree = images.unpack(docker, cache, image)
                images.prune(cache)
            procfile = {}
            if tree is not None:
                check_tree(image, tree.path)
                procfile = read_procfile(image, tree.path)
            manifest = Manifest(
                image=image,
                procfile=procfile,
                settings=settings,
                bytes=tree.bytes if tree else 0,
                inodes=tree.inodes if tree else 0,
            )
        except SlipwayError as error:
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
            "manifest": manifest.to_json(),
            "notes": unused(inspected) + (hidden_notes(tree.path) if tree else []),
        }
