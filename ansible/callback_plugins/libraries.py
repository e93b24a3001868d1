"""Ansible callback: the libraries that these playbooks need, for an Ansible that was installed by itself.

Loaded before every play, since no setting of ansible.cfg says where Python looks for packages.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase
from ansible.plugins.loader import filter_loader, test_loader

DOCUMENTATION = r"""
name: libraries
type: aggregate
short_description: Find the package slipway, name a library that is missing, and load filters once
description:
  - The package is that of this checkout where none is installed.
  - Each task runs in a fork of Ansible's process. What filters and tests that process lacks, each fork would load.
"""

NEEDED = {"dotenv": "python-dotenv", "jinja2": "jinja2", "yaml": "pyyaml"}
"""Modules, each with the distribution that has it."""
OLDEST = (3, 11)


def find() -> str:
    """Let Python find the package `slipway`. Returns in words what is missing; empty if nothing is."""
    if sys.version_info < OLDEST:
        return f"Ansible runs on Python {sys.version.split()[0]}, and these playbooks need 3.11 or newer."
    if importlib.util.find_spec("slipway") is None:
        sys.path.append(str(Path(__file__).resolve().parents[2]))
    missing = [name for module, name in NEEDED.items() if importlib.util.find_spec(module) is None]
    if not missing:
        return ""
    return (
        f"The Python that runs Ansible ({sys.executable}) has no {', no '.join(missing)}. Type: "
        f"{sys.executable} -m pip install {' '.join(missing)} (with pipx: pipx inject ansible-core {' '.join(missing)})"
    )


if message := find():
    sys.exit(f"error: {message}")


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """The callback, which prints nothing."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "libraries"

    def v2_playbook_on_start(self, playbook: Any) -> None:  # noqa: ARG002 -- Ansible's interface
        """Load all filters and tests: the loaders do so at the first look-up."""
        filter_loader.get("length")
        test_loader.get("match")
