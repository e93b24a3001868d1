"""How often the app's containers crashed of late: between two crashes every pod is ready."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from slipway.controller.kubernetes.cause import OUT_OF_MEMORY, ended, how_ended, restarts
from slipway.controller.kubernetes.overlay import COMPONENT, Object
from slipway.engine.crashes import LOOP_SECONDS, Crashes


def found(pods: Sequence[Object], now: float) -> dict[str, Crashes]:
    """Return the crashes of each component that had one in the last hour.

    A pod tells how often its container was restarted since the pod exists, and when it ended last.

    Args:
        pods: as the API returns them.
        now: epoch seconds.
    """
    counts: dict[str, Crashes] = {}
    for pod in pods:
        last: dict[str, Any] = ended(pod)
        if (
            not last.get("finishedAt")
            or (at := datetime.fromisoformat(last["finishedAt"]).timestamp()) < now - LOOP_SECONDS
        ):
            continue
        component = pod["metadata"]["labels"][COMPONENT]
        before, count = counts.get(component, Crashes()), restarts(pod)
        latest = at >= (before.last_at or 0)
        counts[component] = Crashes(
            restarts=before.restarts + count,
            kills=before.kills + (count if last.get("reason") == OUT_OF_MEMORY else 0),
            ending=how_ended(last) if latest else before.ending,
            last_at=at if latest else before.last_at,
        )
    return {name: each for name, each in counts.items() if each.restarts}
