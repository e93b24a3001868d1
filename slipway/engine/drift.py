"""Drift of this host from the baseline that provisioning recorded: the result of the nightly check (drift.service)."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

REPORT = Path("/var/lib/slipway/drift.json")
"""Written by AIDE, as root."""
OLD = timedelta(days=2)
"""An older check tells nothing of today: the nightly one does not run, or fails."""
HOW = ("added", "changed", "removed")


def found(report: Path) -> dict[str, Any]:
    """The names of files that differ, by kind of difference; when that was checked; and a state.

    The state is `clean`, `differs`, `never` (no check has run, or its result is damaged) or `old`.
    """
    try:
        values = json.loads(report.read_text())
        looked_at = datetime.strptime(values["end_time"], "%Y-%m-%d %H:%M:%S %z").astimezone(UTC)
        names = {how: sorted(values.get(how, {})) for how in HOW}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {"state": "never", "looked_at": None} | {how: [] for how in HOW}
    state = "differs" if any(names.values()) else "clean"
    if datetime.now(UTC) - looked_at > OLD:
        state = "old"
    return {"state": state, "looked_at": looked_at.isoformat()} | names


def words(values: dict[str, Any]) -> list[str]:
    """The same for people, a line for each name."""
    if values["state"] == "never":
        return ["unknown: no check has run yet (systemctl start drift.service, as root)"]
    names = [f"{how} {name}" for how in HOW for name in values[how]]
    if values["state"] == "old":
        return [f"unknown since {values['looked_at']} (journalctl -u drift.service says why)", *names]
    return names or [f"none, at {values['looked_at']}"]
