#!/usr/bin/python
"""Ansible module: a role's files and directories, all in one call."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: managed_files
short_description: Write many files and directories in one round trip
description:
  - Each task costs a connection, a start of Python and the loading of a module, and so does each item of a loop. This
    module compares and writes all files of a role, and keeps the promises of C(copy), C(template) and C(file) -
    validation before anything is replaced, atomic replacement, check mode and diff.
  - The content comes from the controller, by C(lookup('file')) and C(lookup('template')).
  - Every file is validated before the first one is replaced.
options:
  directories:
    description: Directories. Missing parents are created, owned by root and with mode 0755.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: The directory.
        type: path
        required: true
      owner:
        description: Its user.
        type: str
        default: root
      group:
        description: Its group.
        type: str
        default: root
      mode:
        description: Its mode.
        type: str
        default: "0755"
  files:
    description: Files. Missing parents are created, owned by root and with mode 0755.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: The file.
        type: path
        required: true
      content:
        description: The text of the file.
        type: str
        required: true
      owner:
        description: Its user.
        type: str
        default: root
      group:
        description: Its group.
        type: str
        default: root
      mode:
        description: Its mode.
        type: str
        default: "0644"
      validate:
        description: A command that ends with status 0 if the content is valid; C(%s) is a file with the content.
        type: str
  purge:
    description: Directories from which every path that is not among C(files) and C(directories) is removed.
    type: list
    elements: path
    default: []
  absent:
    description: Files that are removed. A diff does not show their content.
    type: list
    elements: path
    default: []
  keep:
    description: Names that I(purge) leaves alone in every folder, with all paths below.
    type: list
    elements: str
    default: []
author:
  - Slipway
"""

EXAMPLES = r"""
- name: Write the settings
  managed_files:
    files:
      - path: /etc/thing/thing.conf
        content: "{{ lookup('ansible.builtin.template', 'thing.conf.j2') }}"
        validate: thing --check %s
    purge: [/etc/thing]
  notify: Reload the thing
"""

RETURN = r"""
paths:
  description: What was made, changed or removed, or would be.
  type: list
  elements: str
  returned: success
"""

import os
import shlex
import shutil
import tempfile
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

OWNERSHIP: dict[str, Any] = {
    "path": {"type": "path", "required": True},
    "owner": {"type": "str", "default": "root"},
    "group": {"type": "str", "default": "root"},
}
ARGUMENTS: dict[str, Any] = {
    "directories": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": OWNERSHIP | {"mode": {"type": "str", "default": "0755"}},
    },
    "files": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": OWNERSHIP
        | {
            "mode": {"type": "str", "default": "0644"},
            "content": {"type": "str", "required": True},
            "validate": {"type": "str"},
        },
    },
    "purge": {"type": "list", "elements": "path", "default": []},
    "keep": {"type": "list", "elements": "str", "default": []},
    "absent": {"type": "list", "elements": "path", "default": []},
}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params = module.params
    try:
        for file in params["files"]:
            _validate(module, file)
        diffs = [_directory(module, directory) for directory in params["directories"]]
        diffs += [_file(module, file) for file in params["files"]]
        wanted = {Path(entry["path"]) for entry in params["directories"] + params["files"]}
        diffs += [
            _remove(module, path) for top in params["purge"] for path in _foreign(Path(top), wanted, params["keep"])
        ]
        diffs += [_absent(module, Path(path)) for path in params["absent"] if os.path.lexists(path)]
    except OSError as error:
        module.fail_json(msg=f"{error.filename}: {error.strerror}")
    changes = [diff for diff in diffs if diff]
    module.exit_json(changed=bool(changes), paths=[diff["after_header"] for diff in changes], diff=changes)


def _validate(module: AnsibleModule, file: dict[str, Any]) -> None:
    """Run the validation of a file; fail with its output before anything was touched."""
    path = Path(file["path"])
    if not file["validate"] or _content(path) == file["content"]:
        return
    new = _temporary(module, file["content"])
    status, output, error = module.run_command([word.replace("%s", new) for word in shlex.split(file["validate"])])
    if status:
        message = (error or output).strip()
        module.fail_json(msg=f"{path} would not be valid, so nothing was changed. {file['validate']}: {message}")


def _directory(module: AnsibleModule, directory: dict[str, Any]) -> dict[str, Any] | None:
    path, diff = Path(directory["path"]), _diff(directory["path"])
    made = not path.is_dir()
    if made:
        diff |= {"before": {"state": "absent"}, "after": {"state": "directory"}}
        if not module.check_mode:
            _make_parents(path)
            path.mkdir(mode=0o700)
    return diff if _own(module, directory, diff) or made else None


def _file(module: AnsibleModule, file: dict[str, Any]) -> dict[str, Any] | None:
    path, diff = Path(file["path"]), _diff(file["path"])
    before = _content(path)
    if before != file["content"]:
        if not module.check_mode:
            _make_parents(path)
            module.atomic_move(_temporary(module, file["content"]), str(path))
            _own(module, file, {})
        return diff | {"before": before or "", "after": file["content"]}
    return diff if _own(module, file, diff) else None


def _make_parents(path: Path) -> None:
    for missing in reversed([parent for parent in path.parents if not parent.exists()]):
        missing.mkdir()
        missing.chmod(0o755)  # whatever the umask is


def _own(module: AnsibleModule, entry: dict[str, Any], diff: dict[str, Any]) -> bool:
    """Set owner, group and mode; return whether that changed them. In check mode a missing path has none."""
    path = entry["path"]
    if not os.path.lexists(path):
        return False
    changed = module.set_owner_if_different(path, entry["owner"], False, diff)
    changed = module.set_group_if_different(path, entry["group"], changed, diff)
    return bool(module.set_mode_if_different(path, entry["mode"], changed, diff))


def _foreign(top: Path, wanted: set[Path], keep: list[str]) -> list[Path]:
    """List the paths below `top` that are neither wanted nor parents of a wanted one."""
    parents = {parent for path in wanted for parent in path.parents}
    found: list[Path] = []
    for path in sorted(top.iterdir()) if top.is_dir() else []:
        if path.name in keep:
            continue
        if path.is_dir() and not path.is_symlink() and path in wanted | parents:
            found += _foreign(path, wanted, keep)
        elif path not in wanted:
            found.append(path)
    return found


def _remove(module: AnsibleModule, path: Path) -> dict[str, Any]:
    is_tree = path.is_dir() and not path.is_symlink()
    before = {"state": "directory"} if is_tree else _content(path) or ""
    if not module.check_mode:
        shutil.rmtree(path) if is_tree else path.unlink()
    return _diff(str(path)) | {"before": before, "after": {"state": "absent"} if is_tree else ""}


def _absent(module: AnsibleModule, path: Path) -> dict[str, Any]:
    """Remove a file. The diff does not show the content, which may be secret."""
    if not module.check_mode:
        path.unlink()
    return _diff(str(path)) | {"before": {"state": "file"}, "after": {"state": "absent"}}


def _diff(path: str) -> dict[str, Any]:
    return {"before_header": path, "after_header": path}


def _content(path: Path) -> str | None:
    """The content of a file; None if there is no file, or a link in its place."""
    if path.is_symlink() or not path.is_file():
        return None
    return path.read_text(encoding="utf-8", errors="surrogateescape")


def _temporary(module: AnsibleModule, content: str) -> str:
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", newline="", dir=module.tmpdir, delete=False) as file:
        file.write(content)
    return file.name


if __name__ == "__main__":
    main()
