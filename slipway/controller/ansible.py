"""Ansible's programs, as this Slipway is installed with them."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from slipway.controller import resources

CONFIG = {"ANSIBLE_CONFIG": str(resources.ANSIBLE / "ansible.cfg")}
"""Says where roles and plugins are, wherever the program is started."""


def own(program: str) -> str:
    """Return the path of one of Ansible's programs: the one beside this Python, else by its name alone."""
    beside = Path(sys.executable).parent / program
    return str(beside) if beside.exists() else program


def query(action: Any, argv: Sequence[str]) -> dict[str, Any]:
    """Run a command that only reads on the host of an action plugin, without a Python there.

    Returns Ansible's result: `rc`, `stdout` and `stderr` without the newline at their end, and of a command that fails
    `failed` and `msg`.
    """
    # As the shell's input: with one there is no terminal, which would mix output and error output.
    script = f"LC_ALL=C exec {shlex.join(argv)}\n"
    result: dict[str, Any] = action._low_level_execute_command("/bin/sh -s", in_data=script.encode())
    result |= {name: result[name].rstrip("\r\n") for name in ("stdout", "stderr")}
    if result["rc"]:
        result |= {"failed": True, "msg": result["stderr"] or f"status {result['rc']} of {script.strip()}"}
    return result
