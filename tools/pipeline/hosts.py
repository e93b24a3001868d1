"""What the hosts of an environment said of themselves: `slipway status --json`, as `statuses` keeps it."""

import json
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

Status = dict[str, Any]


def read(folder: Path) -> dict[str, Status]:
    """The status of each host by its name in the inventory.

    Raises:
        SystemExit: a host said something else.
    """
    found: dict[str, Status] = {}
    for file in sorted(folder.iterdir()):
        said = file.read_text()
        try:
            found[file.name] = json.loads(said)
        except ValueError:
            raise SystemExit(f"error: {file.name} does not tell its status: {said.strip() or 'no answer'}") from None
    return found


def contains(commit: str, older: str) -> bool:
    """Whether git knows that a commit came after another one. False for the same one."""
    if commit == older:
        return False
    command = ["git", "-C", str(ROOT), "merge-base", "--is-ancestor", older, commit]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
