"""Ansible action: the module managed_files, only where a path of the host differs.

The module takes a third of a second of Python on the host, and most runs find that nothing differs: stat and sha256sum
tell that in a thirtieth. Whatever they do not show as equal is the module's to judge.
"""

from __future__ import annotations

import hashlib
import shlex
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from ansible.plugins.action import ActionBase

from slipway.controller.ansible import query

OWNER = "root"
FILE_MODE, DIRECTORY_MODE = "0644", "0755"
"""The module's defaults."""

_KINDS = {"regular empty file": "regular file"}


@dataclass(frozen=True)
class Paths:
    """The arguments of the module, as far as they name paths."""

    files: list[dict[str, Any]] = field(default_factory=list)
    directories: list[dict[str, Any]] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    purge: list[str] = field(default_factory=list)
    keep: list[str] = field(default_factory=list)

    def script(self) -> str:
        """Return shell commands that print a line for each path that is there."""
        files = [entry["path"] for entry in self.files]
        there = files + [entry["path"] for entry in self.directories]
        commands = [["stat", "--format=%F|%U|%G|%a|%n", "--", *there]] if there else []
        commands += [["sha256sum", "--", *files]] if files else []
        commands += [["find", *self.absent, "-maxdepth", "0", "-printf", "found|%y|%p\\n"]] if self.absent else []
        kept = [word for name in self.keep for word in ("-name", name, "-prune", "-o")]
        commands += [["find", top, "-mindepth", "1", *kept, "-printf", "found|%y|%p\\n"] for top in self.purge]
        # Of a path that is not there, the line is missing.
        return "; ".join(f"{shlex.join(command)} 2>/dev/null" for command in commands)

    def expected(self) -> set[str]:
        """Return the lines that the script prints if nothing differs.

        Raises:
            KeyError, TypeError, ValueError, AttributeError: an argument is missing or has the wrong type.
        """
        lines = {_line("regular file", entry, FILE_MODE) for entry in self.files}
        lines |= {_line("directory", entry, DIRECTORY_MODE) for entry in self.directories}
        lines |= {f"{_sha256(entry['content'])}  {entry['path']}" for entry in self.files}
        return lines

    def is_met(self, output: str) -> bool:
        """Tell whether the script's output has each expected line, and no path that is to be absent."""
        wanted = {PurePosixPath(entry["path"]) for entry in self.files + self.directories}
        parents = {parent for path in wanted for parent in path.parents}
        lines = set()
        for line in output.splitlines():
            kind, bar, rest = line.partition("|")
            is_folder, path = rest.startswith("d|"), PurePosixPath(rest[2:])
            if kind != "found" or not (path in wanted or (is_folder and path in parents)):
                lines.add(f"{_KINDS.get(kind, kind)}{bar}{rest}")
        return lines == self.expected()


def _line(kind: str, entry: dict[str, Any], mode: str) -> str:
    bits = int(entry.get("mode", mode), 8)
    return f"{kind}|{entry.get('owner', OWNER)}|{entry.get('group', OWNER)}|{bits:o}|{entry['path']}"


def _sha256(content: str) -> str:
    return hashlib.sha256(content.encode("utf-8", "surrogateescape")).hexdigest()


class ActionModule(ActionBase):  # type: ignore[misc]
    """The action."""

    _requires_connection = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Compare, and run the module if something differs. Runs in check mode as well."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        if self._is_met():
            return result | {"changed": False, "paths": [], "diff": []}
        ran: dict[str, Any] = self._execute_module(task_vars=task_vars)
        return result | ran

    def _is_met(self) -> bool:
        try:
            paths = Paths(**self._task.args)
            script = paths.script()
            paths.expected()
        except (KeyError, TypeError, ValueError, AttributeError):
            return False  # the module names the argument
        return paths.is_met(query(self, ["sh", "-c", script])["stdout"])
