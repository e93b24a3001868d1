"""The deploys and rollbacks of a time, as the audit tells them."""

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from slipway.model.states import Kind
from slipway.report.routing import Phase, Routing, routings

ENTRIES = 10_000
"""Of the audit; fewer are in its last part, which is read."""
UNKNOWN = "unknown"


@dataclass
class Activation:
    """One deploy or rollback."""

    what: str
    """deploy or rollback."""
    release: str
    before: str
    live: str
    """The release that was live at its end."""
    by: str
    ended: str
    """As `slipway.model.states.ActivationState`, or `refused` and `killed`."""
    cause: str
    started_at: float
    ended_at: float
    phases: list[Phase] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """The document for the page."""
        return asdict(self)


def read(entries: Iterable[dict[str, Any]]) -> list[Activation]:
    """Read entries of the audit, oldest first. `deploy` may write there: what is damaged is left out."""
    found = []
    for entry in entries:
        try:
            if entry.get("what") in list(Kind):
                found.append(_activation(entry))
        except (ValueError, TypeError, AttributeError):
            continue
    return found


def _activation(entry: dict[str, Any]) -> Activation:
    ended_at = datetime.fromisoformat(entry["at"]).timestamp()
    # A refused one has the phases of the activation before.
    seconds = {} if entry.get("ended") == "refused" else (entry.get("phases") or {})
    whole = entry.get("seconds") or sum(seconds.values())
    at = started_at = ended_at - float(whole)
    phases = []
    for name, each in seconds.items():  # one after the other: the audit has no other times of theirs
        phases.append(Phase(str(name), at, float(each)))
        at += float(each)
    release, by, ended, cause = (str(entry.get(name) or "") for name in ("release", "by", "ended", "cause"))
    before, live = (str(entry.get(name) or UNKNOWN) for name in ("before", "live"))
    return Activation(entry["what"], release, before, live, by, ended, cause, started_at, ended_at, phases)


def changes(activations: Iterable[Activation], live: str) -> list[Routing]:
    """Return the release of each slice and every change of it, oldest first. `live` is the release that is live now."""
    every = list(activations)
    first = every[0].before if every else live
    ends = [Routing(each.ended_at, each.live, each.live) for each in every]
    return sorted([Routing(-math.inf, first, first), *routings(every)[1:], *ends], key=lambda change: change.at)
