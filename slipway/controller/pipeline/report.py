"""How a deploy or a rollback went, as Markdown for the run's page."""

import os
import re
from collections.abc import Iterator
from typing import Any

from slipway.controller.host_status import Status
from slipway.controller.pipeline.hosts import Statuses

CAUSE_LINES = 60


def superseded(environment: str, before: Statuses, *, image: str, newer: str) -> str:
    """Tell that nothing was done, since the hosts serve a newer commit."""
    lines = [f"### {environment}: superseded", "", f"It serves the newer commit `{newer}`: nothing was done.", ""]
    return "\n".join([*lines, f"- image: `{image}`", *_earlier(before)])


def failed(environment: str, before: Statuses, output: str, *, image: str = "") -> str:
    """Tell what the playbook printed for the tasks that failed, and what stays live."""
    lines = [f"### {environment}: failed", "", *_serving(before), "", *_cause(output)]
    return "\n".join([*lines, *([f"- image: `{image}`"] if image else []), *_earlier(before)])


def done(environment: str, before: Statuses, after: Statuses, *, seconds: float, image: str = "") -> str:
    """Tell what is live now, and each host's phases.

    Args:
        environment: the name of the environment.
        before: the hosts before the playbook.
        after: the hosts after it.
        seconds: how long the playbook took.
        image: what was deployed; empty for a rollback.
    """
    lines = [*_live(environment, before, after), f"- the playbook took {seconds:.0f} s"]
    lines += [f"- image: `{image}`"] if image else []
    lines += _earlier(before)
    if image and os.environ.get("SLIPWAY_PRODUCTION") == "by-hand":
        lines.append("- production is deployed by hand: run the workflow `deploy` with this image")
    return "\n".join(lines)


def _live(environment: str, before: Statuses, after: Statuses) -> Iterator[str]:
    releases = sorted({str(status["live"]) for status in after.values()})
    yield from (f"### {environment}: {', '.join(f'`{release}`' for release in releases)} is live", "")
    for name, status in after.items():
        if status["live"] == before[name]["live"]:
            yield f"- {name}: it was live already, nothing was done"
            continue
        # The audit has it only when the old release is retired.
        record = _record(status)
        phases = record.get("phases") or []
        took = f"{sum(phase['seconds'] for phase in phases):.1f} s on the host"
        yield f"- {name}: commit `{status['commit']}`, {took}, by {record.get('request', {}).get('by')}"
        yield f"- {name}: failed requests: {_failed_requests(phases)}"
        if phases:
            yield from ("", f"| {' | '.join(phase['name'] for phase in phases)} |", f"|{'---|' * len(phases)}")
            yield from (f"| {' | '.join('{:.2f} s'.format(phase['seconds']) for phase in phases)} |", "")
    yield f"- to go back: the workflow `operate`, or `slipway rollback {environment}`"


def _record(status: Status) -> Status:
    return next((each for each in status["releases"] if each["release"] == status["live"]), {})


def _failed_requests(phases: list[dict[str, Any]]) -> str:
    """Return what the host counted in nginx's log while it watched, on both releases."""
    traffic = [phase["samples"]["traffic"] for phase in phases if phase.get("samples")]
    if not traffic:
        return "it was not watched"
    samples = [pair[release] for pair in traffic for release in ("new", "old")]
    count, attempts = (sum(sample[figure] for sample in samples) for figure in ("failed", "attempts"))
    return f"{count} of {attempts} while it was watched"


def _serving(statuses: Statuses) -> list[str]:
    words = "- {}: `{}` stays live (commit `{}`)"
    return [words.format(name, status["live"], status["commit"]) for name, status in statuses.items()]


def _cause(output: str) -> list[str]:
    """Return Ansible's output for the tasks that failed, as a block that nothing in it ends."""
    lines = output.splitlines()
    begins = (number for number, line in enumerate(lines) if re.match(r"fatal: |\[ERROR\]|ERROR!", line))
    at = next(begins, max(0, len(lines) - CAUSE_LINES))
    return block(lines[at : at + CAUSE_LINES])


def block(text: list[str]) -> list[str]:
    """Return lines as a block of Markdown that nothing in it ends."""
    longest = max((len(ticks) for line in text for ticks in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return [fence, *text, fence, ""]


def _earlier(before: Statuses) -> list[str]:
    """Return how the run before this one ended on the hosts, above all if its runner died."""
    lines = []
    for name, status in before.items():
        holder, entry = status["lock"], (status["history"] or [{}])[-1]
        if status["state"] == "interrupted":
            lines.append(f"- before, on {name}: an activation was cut off, and is mended")
        elif holder:
            what = f"{holder.get('release') or holder.get('purpose')} by {holder.get('by')}"
            lines.append(f"- before, on {name}: {what} was under way, and was waited for")
        elif entry:
            what = f"{entry.get('what')} {entry.get('release', '')} by {entry.get('by')}"
            why = f": {entry['cause']}" if entry.get("cause") else ""
            lines.append(f"- before, on {name}: {what} ended {entry.get('ended')}{why}")
    return lines
