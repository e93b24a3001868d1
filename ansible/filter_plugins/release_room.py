"""Filter: the room that a release takes on a host that has most of its files already."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

FOLDER_BYTES = 4096
COPIES = 2
"""Files that differ are on the host twice while the release is sealed; the others are links, which take no room."""


def room_of_differences(stats: str) -> dict[str, int]:
    """Read `rsync --stats --no-human-readable`. Returns the fields of the manifest that the engine looks at.

    Raises:
        ValueError: rsync printed something else.
    """
    found = {
        name: re.search(pattern, stats, re.MULTILINE)
        for name, pattern in {
            "folders": r"^Number of files: .*\bdir: (\d+)",
            "files": r"^Number of regular files transferred: (\d+)",
            "bytes": r"^Total transferred file size: (\d+) bytes",
        }.items()
    }
    numbers = {name: int(match[1]) for name, match in found.items() if match}
    if missing := found.keys() - numbers.keys():
        raise ValueError(f"rsync --stats printed no number of {', '.join(sorted(missing))}: {stats[:200]!r}")
    return {
        "bytes": COPIES * (numbers["bytes"] + numbers["folders"] * FOLDER_BYTES),
        "inodes": COPIES * (numbers["files"] + numbers["folders"]),
    }


class FilterModule:
    """What Ansible asks a file of filters for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name the filters."""
        return {"room_of_differences": room_of_differences}
