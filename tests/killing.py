"""Ending what a test has started, whole and at once, as when the machine that it runs on dies."""

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path


def kill(process: "subprocess.Popen[bytes]") -> None:
    """End a process and everything it has started.

    Not by its process group: steps of a workflow and Ansible's workers leave it, and would go on.
    """
    for pid in family(process.pid):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()


def family(pid: int) -> list[int]:
    """A process and all that it has started, parents first."""
    parents = {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(file.parent.name)] = int(file.read_text().rpartition(")")[2].split()[1])
    found = [pid]
    for each in found:
        found += [child for child, parent in parents.items() if parent == each]
    return found
