"""Measure the verbs: provisioning, a deploy that changes one line of code, and both rollbacks."""

import statistics
import time
from datetime import datetime
from typing import Any

from labs import images
from labs.command import progress
from labs.host import Host
from tools.checkout import APP_IMAGES

APP = f"{APP_IMAGES}:bench"
CHANGED = f"{APP_IMAGES}:bench-changed"


def measure(host: Host, rounds: int) -> dict[str, Any]:
    """Measure every verb on a bare host, which serves afterwards. A round is a deploy followed by both rollbacks."""
    first = build()
    figures: dict[str, Any] = {name: _play(host, "site.yml", first) for name in ("site_bare", "site_again")}
    measured = [_round(host) for _ in range(rounds)]
    for name in measured[0]:
        if name != "phases":
            figures[name] = statistics.median(entry[name] for entry in measured)
    names = [phase["name"] for phase in measured[-1]["phases"]]
    seconds = [{phase["name"]: phase["seconds"] for phase in entry["phases"]} for entry in measured]
    figures["phases"] = {name: statistics.median(entry.get(name, 0.0) for entry in seconds) for name in names}
    return figures


def build() -> str:
    """Build the app. Returns the image's id."""
    return images.build_app(APP)


def _play(host: Host, playbook: str, image: str) -> float:
    seconds = host.play(playbook, release_image=image)
    progress("bench", f"{playbook}: {seconds:.1f} s")
    return seconds


def _round(host: Host) -> dict[str, Any]:
    changed = images.build_changed_app(CHANGED)
    received, started_at = host.bytes_received(), time.time()
    whole = _play(host, "deploy.yml", changed)
    status = host.status()
    release = next(entry for entry in status["releases"] if entry["release"] == status["live"])
    figures = {
        "deploy": whole,
        # The host is a container: both have the same clock.
        "deploy_live": datetime.fromisoformat(release["live_at"]).timestamp() - started_at,
        "deploy_bytes": host.bytes_received() - received,
        "phases": release["phases"],
    }
    figures["rollback"] = _play(host, "rollback.yml", changed)
    host.wait_until_idle()
    started_at = time.time()
    host.shell(f"slipway rollback {release['release']}", user="deploy")
    figures["rollback_on_host"] = time.time() - started_at
    host.wait_until_idle()
    return figures
