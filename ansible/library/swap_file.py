#!/usr/bin/python
"""Ansible module: a swap file, on hosts that have no swap."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: swap_file
short_description: Create a swap file on a host without swap, or remove it
description:
  - The file is /var/slipway.swapfile, and a swap unit of systemd activates it, also at boot.
  - A host with other swap, a container, and a file system whose files are no swap keep what they have. C(why) says so.
options:
  state:
    description: Whether the host gets a swap file. C(absent) removes this module's own and no other.
    type: str
    choices: [present, absent]
    default: present
  size:
    description:
      - As 512M or 2G. Empty - as much as the memory, at most 1G and at most a quarter of the free space, below 4 GiB of
        memory; a file that exists keeps its size.
    type: str
    default: ""
author:
  - Slipway
"""

EXAMPLES = r"""
- name: Create the swap file
  swap_file:
    size: 512M
"""

RETURN = r"""
differs:
  description: The host is not as wanted; as I(changed), for a task that reports no change.
  type: bool
  returned: success
added:
  description: MiB of swap that the host gets by this run.
  type: int
  returned: success
why:
  description: Why the host gets no swap file; empty if it has one.
  type: str
  returned: success
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

FILE = Path("/var/slipway.swapfile")
UNIT = Path("/etc/systemd/system/var-slipway.swapfile.swap")
CONTENT = f"""# Managed by Slipway: hardening_swap.
[Unit]
Description=Swap file

[Swap]
What={FILE}

[Install]
WantedBy=swap.target
"""
FILE_SYSTEMS = frozenset({"ext2", "ext3", "ext4", "xfs"})
"""Of which any file that is allocated in full can be swap: btrfs and ZFS want more, overlays have none."""
LARGE_MIB = 4096
"""From this memory on, two releases fit without swap."""
MOST_MIB, LEAST_MIB = 1024, 128
"""Of a file whose size nobody set."""
KEPT_FREE_MIB = 1024
"""What a file whose size is set leaves free for releases."""
UNITS = {"M": 1, "G": 1024}


@dataclass(frozen=True)
class Host:
    """What decides about swap. Sizes in MiB."""

    memory: int
    free: int
    """Free space in /var, with that of this module's own file."""
    file_system: str
    container: bool
    others: tuple[str, ...]
    """Swap that is not this module's."""
    own: int
    """The size of this module's own file; 0: there is none."""


def mebibytes(size: str) -> int:
    """Read a size such as 512M; "" is 0."""
    return int(size[:-1]) * UNITS[size[-1]] if size else 0


def decide(host: Host, size: int) -> tuple[int, str]:
    """Return the size of the swap file in MiB, 0 for none, and why there is none.

    Args:
        host: what the host has.
        size: in MiB; 0: derived from the host.

    Raises:
        ValueError: there is no room for `size`.
    """
    if host.container:
        return 0, "it is a container, and swap is of its machine's kernel"
    if host.others:
        return host.own, "" if host.own else f"it has swap: {', '.join(host.others)}"
    if host.file_system not in FILE_SYSTEMS:
        return 0, f"/var is on {host.file_system}, where a file is no swap"
    if size:
        if size > host.free - KEPT_FREE_MIB:
            fitting = max(host.free - KEPT_FREE_MIB, 0)
            fix = f"Set {fitting}M or less" if fitting else "Make room"
            room = f"/var has {host.free} MiB free, and {KEPT_FREE_MIB} stay free for releases"
            raise ValueError(f"{size} MiB of swap do not fit: {room}. {fix}, or hardening_swap: false")
        return size, ""
    if host.own:
        return host.own, ""
    if host.memory >= LARGE_MIB:
        return 0, f"it has {host.memory} MiB of memory"
    derived = min(host.memory, MOST_MIB, host.free // 4)
    return (derived, "") if derived >= LEAST_MIB else (0, f"/var has {host.free} MiB free, too little for swap")


def others(active: str, fstab: str) -> tuple[str, ...]:
    """Return the swap of /proc/swaps and of /etc/fstab that is not this module's."""
    names = [line.split()[0] for line in active.splitlines()[1:]]
    rows = [line.split() for line in fstab.splitlines() if not line.lstrip().startswith("#")]
    names += [row[0] for row in rows if row[2:3] == ["swap"]]
    return tuple(dict.fromkeys(name for name in names if name != str(FILE)))


def main() -> None:
    """Run the module."""
    spec: dict[str, Any] = {
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "size": {"type": "str", "default": ""},
    }
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True)
    host = look(module)
    wanted, why = 0, ""
    if module.params["state"] == "present":
        try:
            wanted, why = decide(host, mebibytes(module.params["size"]))
        except ValueError as error:
            module.fail_json(msg=f"{error}.")
    changed = wanted != host.own or (wanted > 0 and not in_force())
    if changed and not module.check_mode:
        try:
            remove(module)
            if wanted:
                create(module, wanted)
        except OSError as error:
            module.fail_json(msg=f"{error.filename}: {error.strerror}")
    module.exit_json(changed=changed, differs=changed, added=max(wanted - host.own, 0), why=why)


def look(module: AnsibleModule) -> Host:
    """Look at the host; changes nothing."""
    meminfo = Path("/proc/meminfo").read_text()
    memory = next(int(line.split()[1]) >> 10 for line in meminfo.splitlines() if line.startswith("MemTotal:"))
    own = FILE.stat().st_size >> 20 if FILE.exists() else 0
    fstab = Path("/etc/fstab")
    find = ["findmnt", "--noheadings", "--output=FSTYPE", "--target", str(FILE.parent)]
    return Host(
        memory=memory,
        free=(shutil.disk_usage(FILE.parent).free >> 20) + own,
        file_system=module.run_command(find, check_rc=True)[1].strip(),
        container=module.run_command(["systemd-detect-virt", "--container", "--quiet"])[0] == 0,
        others=others(Path("/proc/swaps").read_text(), fstab.read_text() if fstab.exists() else ""),
        own=own,
    )


def in_force() -> bool:
    """Whether the file is in use, and will be at the next boot."""
    enabled = UNIT.parent / "swap.target.wants" / UNIT.name
    active = any(line.split()[0] == str(FILE) for line in Path("/proc/swaps").read_text().splitlines())
    return active and enabled.exists() and UNIT.read_text() == CONTENT


def remove(module: AnsibleModule, *, check: bool = True) -> None:
    """Take the file out of use and delete it. `check`: fail if the memory does not take what is in it."""
    if UNIT.exists():
        module.run_command(["systemctl", "disable", "--now", UNIT.name], check_rc=check)
        UNIT.unlink()
        module.run_command(["systemctl", "daemon-reload"], check_rc=check)
    FILE.unlink(missing_ok=True)


def create(module: AnsibleModule, size: int) -> None:
    """Create the file and put it in use; if that fails, leave nothing of it."""
    try:
        with os.fdopen(os.open(FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            os.posix_fallocate(file.fileno(), 0, size << 20)
        module.run_command(["mkswap", str(FILE)], check_rc=True)
        UNIT.write_text(CONTENT)
        UNIT.chmod(0o644)
        module.run_command(["systemctl", "daemon-reload"], check_rc=True)
        module.run_command(["systemctl", "enable", "--now", UNIT.name], check_rc=True)
    except BaseException:  # fail_json exits
        remove(module, check=False)
        raise


if __name__ == "__main__":
    main()
