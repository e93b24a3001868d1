"""Handlers of a role run in each play that uses the role: the condition of its last import is theirs, too."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tools.checkout import ROOT

IMPORT = "ansible.builtin.import_role"


def conditions(play: dict[str, Any]) -> dict[str, list[Any]]:
    """The conditions under which a play uses each role, without what it includes, in Ansible's order."""
    found: dict[str, list[Any]] = {}
    for part in ("pre_tasks", "roles", "tasks", "post_tasks"):
        for use in play.get(part, []):
            role = use if part == "roles" else use.get(IMPORT)
            if role:
                name = role if isinstance(role, str) else role.get("role") or role["name"]
                found.setdefault(name, []).append(use.get("when") if isinstance(use, dict) else None)
    return found


@pytest.mark.parametrize("file", ["site.yml", "deploy.yml", "rollback.yml"])
def test_the_last_import_of_a_role_leaves_its_handlers_without_a_condition(file: str) -> None:
    plays = yaml.safe_load(Path(ROOT / "ansible" / file).read_text())
    for play in plays:
        # What only looks at a host notifies nobody.
        if "hosts" in play and play["name"] != "Preflight":
            for role, whens in conditions(play).items():
                assert len(whens) == 1 or whens[-1] is None, (
                    f"{file}: {play['name']}: {role}: include what has a `when`"
                )
