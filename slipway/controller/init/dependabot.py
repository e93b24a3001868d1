"""Whether Dependabot moves the commit of Slipway that a repository's workflows name."""

from pathlib import Path
from typing import Any

import yaml

FILES = (".github/dependabot.yml", ".github/dependabot.yaml")
ENTRY = """\
  - package-ecosystem: github-actions
    directory: /
    schedule: {{interval: weekly}}
    groups: {{slipway: {{patterns: ["{repository}*"]}}}}"""


def missing(top: Path, repository: str) -> str:
    """Return what to add to a repository's Dependabot, and where; empty if it looks after workflows already.

    Args:
        top: the top of the git repository.
        repository: Slipway's: `acme/slipway`. Its workflows move together, as one group.
    """
    file = next((name for name in FILES if (top / name).is_file()), "")
    if file and any(_ecosystem(update) == "github-actions" for update in _updates(top / file)):
        return ""
    entry = ENTRY.format(repository=repository)
    return f"add to {file}:\n{entry}" if file else f"write {FILES[0]}:\nversion: 2\nupdates:\n{entry}"


def _updates(file: Path) -> list[Any]:
    try:
        read = yaml.safe_load(file.read_text(encoding="utf-8", errors="replace"))
    except yaml.YAMLError:
        return []
    updates = read.get("updates") if isinstance(read, dict) else None
    return updates if isinstance(updates, list) else []


def _ecosystem(update: Any) -> str:
    return str(update.get("package-ecosystem", "")) if isinstance(update, dict) else ""
