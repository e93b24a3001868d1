"""Deploy and roll back by playbook, and read the host's records of it."""

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from labs.command import LabError
from labs.host import Host, bytes_added
from labs.report.record import Deploy
from slipway.report.routing import Phase


def deploy(host: Host, name: str, what: str, image: str, *, bad: bool = False) -> Deploy:
    """Deploy an image that becomes live or, if `bad`, is aborted.

    Raises:
        LabError: it ended in the other way.
    """
    before, received = host.status()["live"], host.ssh_bytes_received()
    result = Deploy(name, what, time.time(), 0.0, kind="bad" if bad else "good", before=before)
    error = None
    try:
        host.play("deploy.yml", release_image=image)
    except LabError as failed:
        error = failed
    result.ended_at, result.bytes = time.time(), bytes_added(received, host.ssh_bytes_received())
    host.wait_until_idle()
    status = host.status()
    newest = status["releases"][0]
    if bad != (error is not None) or (bad and newest["state"] != "failed"):
        raise error or LabError(f"{name}: {newest['release']} became live, and is broken on purpose")
    return recorded(result, newest, status["history"][-1])


def rollback(host: Host, name: str) -> Deploy:
    """Return to the earlier release.

    Raises:
        LabError: it failed.
    """
    result = Deploy(name, "rollback.yml", time.time(), 0.0, kind="rollback", before=host.status()["live"])
    host.play("rollback.yml")
    result.ended_at = time.time()
    host.wait_until_idle()
    status = host.status()
    record = next(each for each in status["releases"] if each["release"] == status["live"])
    return recorded(result, record, status["history"][-1])


def recorded(result: Deploy, record: dict[str, Any], audit: dict[str, Any]) -> Deploy:
    """Add the phases and the end from the host's record of the release and the last line of its history."""
    result.release = record["release"]
    phases = [Phase(phase["name"], seconds(phase["at"]), phase["seconds"]) for phase in record["phases"]]
    result.live = record["state"] == "live"
    result.live_at = seconds(record["live_at"]) if result.live else None
    if phases:
        # The controller's part: from the start of the playbook until the engine takes over.
        phases.insert(0, Phase("ship", result.started_at, phases[0].at - result.started_at))
    if not result.live:
        result.cause = (record["cause"] or "").splitlines()[0]
        end = seconds(audit["at"])
        phases.append(Phase("abort", phases[-1].end, max(0.0, end - phases[-1].end)))
    result.phases = phases
    return result


def seconds(moment: str) -> float:
    """Parse an ISO 8601 time into epoch seconds."""
    return datetime.fromisoformat(moment).timestamp()


def names(deploys: Sequence[Deploy], first: str) -> dict[str, str]:
    """Return the names of the releases on the page, in the order of the deploys."""
    found = {deploys[0].before: first} if deploys else {}
    for each in deploys:
        found.setdefault(each.release, each.name)
    return found
