"""Migrations that a rollback leaves: they ran after its target was deployed, and nothing undoes them."""

import os
import shlex
from pathlib import Path
from typing import Any

from slipway.engine import audit
from slipway.engine.host import Host
from slipway.model import owner

FOLDERS = {"migrations", "versions", "piccolo_migrations"}
"""Where Alembic, Django, Aerich, Piccolo and plain SQL keep a file for each migration."""
SUFFIXES = {".py", ".sql"}
SKIPPED = {"node_modules", "site-packages", "venv"}
SHOWN = 3
ENTRIES = 1000
"""Of the audit, the newest, in which deploys are looked for."""


def left_by_rollback(host: Host, target: str) -> str | None:
    """Say which migrations a rollback to a release leaves, and what brings the data of before back; None if none."""
    later = _migrated_after(host, target)
    known = _files(host.releases.path(target))
    found = [(entry, _files(host.releases.path(entry["release"]))) for entry in later]
    # Where the files of all are known, a deploy that had no new one migrated nothing.
    if known and all(files for _, files in found):
        found = [(entry, files - known) for entry, files in found if files - known]
    if not found:
        return None
    first, new = found[0][0], sorted({name for _, files in found for name in files - known})
    what = f"the migrations of {first['release']}"
    if known and new:
        what = f"{len(new)} of the migrations that ran since: {', '.join(new[:SHOWN])}{', ...' * (len(new) > SHOWN)}"
    return f"{target} does not know {what}. A rollback undoes none. {_advice(host, target, first)}"


def _advice(host: Host, target: str, first: dict[str, Any]) -> str:
    if not (snapshot := first.get("snapshot")):
        return f"There is no backup from before them: if {target} cannot serve now, deploy code that can"
    environment = (owner.load(host.owner) or {}).get("environment") or "ENVIRONMENT"
    return (
        f"If it cannot serve now, return to the data of before {str(first['at'])[:19]}, and lose what was "
        f"written since: slipway restore {environment} --snapshot {snapshot} --replace --no-migrate; "
        f"slipway rollback {environment} --to {target}"
    )


def _migrated_after(host: Host, target: str) -> list[dict[str, Any]]:
    """The audit's entries of deploys that ran migrations after the target's own, oldest first; failed ones, too."""
    deploys = [each for each in audit.last(host, ENTRIES) if each.get("what") == "deploy" and each.get("release")]
    own = [index for index, each in enumerate(deploys) if each["release"] == target]
    after = deploys[own[-1] + 1 :] if own else [each for each in deploys if each["release"] > target]
    return [each for each in after if "migrate" in (each.get("phases") or {})]


def _files(tree: Path) -> set[str]:
    """The files of a release's migrations, by their paths below WORKDIR; none where they are elsewhere."""
    try:
        lines = (tree / ".slipway/env").read_text(errors="replace").splitlines()
        line = next(line for line in lines if line.startswith("cd "))
    except (OSError, StopIteration):
        return set()
    workdir = shlex.split(line)[1]
    if workdir == "/":
        return set()
    top = tree / workdir.lstrip("/")
    found = set()
    for folder, below, names in os.walk(top):
        below[:] = [name for name in below if name not in SKIPPED and not name.startswith(".")]
        place = Path(folder).relative_to(top)
        if FOLDERS & set(place.parts):
            found |= {str(place / name) for name in names if Path(name).suffix in SUFFIXES and not name.startswith("_")}
    return found
