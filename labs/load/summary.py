"""Summarize a load: rates, times, failures and gaps, as a whole and by phase."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from labs.load.process import Load, LoadError
from labs.percentile import percentile

WAITS = {"/slow"}
"""Routes that wait on purpose; response times leave them out."""
SHOWN_FAILURES = 20


@dataclass(frozen=True)
class Limits:
    """What a load must keep for its figures to count."""

    max_failures: int = 0
    min_rate: float = 100.0
    """Requests per second."""
    max_gap: float = 5.0
    """Seconds without any response: a freeze that every request outlived."""


def summarize(load: Load, until: float, expected_failures: Collection[str] = ()) -> dict[str, Any]:
    """Summarize a load and each of its phases.

    Responses should have come until the moment `until` (epoch seconds; 0: until the last response). Failures whose
    X-Request-ID is in `expected_failures` are counted apart (`excused`).

    Raises:
        LoadError: no request was logged.
    """
    requests, logged = load.lines("requests.jsonl"), load.lines("failures.jsonl")
    failures = [failure for failure in logged if failure["id"] not in expected_failures]
    if not requests:
        raise LoadError(f"no request was logged in {load.folder}")
    marks = [{"t": 0.0, "mark": "start"}, *load.lines("marks.jsonl")]
    phases = []
    for index, mark in enumerate(marks):
        end = marks[index + 1]["t"] if index + 1 < len(marks) else float("inf")
        sent = [request for request in requests if mark["t"] <= request["t"] < end]
        failed = [failure for failure in failures if mark["t"] <= failure["t"] < end]
        for failure in failed:
            failure["phase"] = mark["mark"]
        phases.append({"phase": mark["mark"], **figures(sent, len(failed))})
    sent_at = [request["t"] for request in requests]
    seconds = max(sent_at) - min(sent_at)
    return {
        **figures(requests, len(failures)),
        "seconds": round(seconds, 1),
        "rps": round(len(requests) / seconds, 1) if seconds else 0.0,
        "worst_gap": worst_gap(requests, until),
        "max_by_route": slowest_by_route(requests),
        "excused": len(logged) - len(failures),
        "phases": phases,
        "failed": failures[:SHOWN_FAILURES],
    }


def violations(summary: dict[str, Any], limits: Limits) -> list[str]:
    """Return one sentence for each limit that a load did not keep."""
    gap = summary["worst_gap"]
    found = []
    if summary["failures"] > limits.max_failures:
        found.append(f"{summary['failures']} of {summary['requests']} requests failed (allowed: {limits.max_failures})")
    if summary["rps"] < limits.min_rate:
        found.append(f"{summary['rps']} requests/s is less than {limits.min_rate:g}: too few to prove anything")
    if gap["seconds"] > limits.max_gap:
        found.append(f"no response for {gap['seconds']} s (allowed: {limits.max_gap:g}), from {gap['t']} on")
    return found


def figures(requests: Iterable[dict[str, Any]], failures: int) -> dict[str, Any]:
    """Count requests and take the percentiles of their times, in milliseconds."""
    every = list(requests)
    times = response_times(every)
    return {
        "requests": len(every),
        "failures": failures,
        "p50": percentile(times, 50) if times else 0.0,
        "p99": percentile(times, 99) if times else 0.0,
        "max": times[-1] if times else 0.0,
    }


def response_times(requests: Iterable[dict[str, Any]]) -> list[float]:
    """Return the sorted response times in milliseconds, without routes that wait on purpose."""
    return sorted(float(request["ms"]) for request in requests if request["r"] not in WAITS)


def slowest_by_route(requests: Iterable[dict[str, Any]]) -> dict[str, float]:
    """Return each route's longest response time in milliseconds."""
    slowest: dict[str, float] = {}
    for request in requests:
        slowest[request["r"]] = max(request["ms"], slowest.get(request["r"], 0.0))
    return dict(sorted(slowest.items()))


def worst_gap(requests: Iterable[dict[str, Any]], until: float) -> dict[str, float]:
    """Return the longest time without a response (`seconds`) and its beginning (`t`).

    From the first request to `until` or the last response. A route that waits on purpose does not end a gap: its
    request may have been sent before the gap.
    """
    every = list(requests)
    answered_at = [request["t"] + request["ms"] / 1000 for request in every if request["r"] not in WAITS]
    times = sorted([min(request["t"] for request in every), *answered_at])
    times.append(max(times[-1], until))
    seconds, begin = max((after - before, before) for before, after in pairwise(times))
    return {"seconds": round(seconds, 3), "t": round(begin, 3)}
