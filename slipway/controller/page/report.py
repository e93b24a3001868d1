"""Draw what `slipway report` on hosts told as one page, which loads nothing."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from jinja2 import UndefinedError

from slipway.controller.page import bands, chart
from slipway.controller.page.bars import Bars, bars
from slipway.controller.page.chart import Key, Panel
from slipway.controller.page.html import for_script, gibibytes, render
from slipway.model.errors import SlipwayError
from slipway.model.period import Period
from slipway.model.states import STAYED
from slipway.report.activations import Activation
from slipway.report.routing import Phase
from slipway.report.samples import Bin, Samples

TEMPLATE = Path(__file__).with_name("report.html.j2")
MARKED = 40
"""Activations that are marked above the charts, the latest ones: their labels need room."""
MOST_DISKS = 3
KINDS = {"prepare": "prepare", "trial": "canary", "cutover": "cutover and watch", "tidy": "retire"}
"""The colours of phases, in words."""
PERIODS = {Period.DAY: "The last day", Period.WEEK: "The last week"}


class ReportError(SlipwayError):
    """What a host told is no report."""


@dataclass(frozen=True)
class Row:
    """An activation in the table."""

    name: str
    by: str
    ended: str
    kind: str
    cause: str
    started_at: float
    ended_at: float
    bands: list[bands.Band]


def page(environment: str, period: Period, reports: Mapping[str, dict[str, Any]]) -> str:
    """Return the page of an environment. `reports`: by the host's name, what its engine printed.

    Raises:
        ReportError: one cannot be read.
    """
    title = f"{environment}: traffic and deploys"
    until = time.strftime("%d %B %Y, %H:%M UTC", time.gmtime())
    try:
        hosts = [_host(name, report) for name, report in reports.items()]
        return render(TEMPLATE, title=title, intro=f"{PERIODS[period]} until {until}", hosts=hosts, kinds=KINDS)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, UndefinedError) as error:
        raise ReportError(
            f"{', '.join(reports)}: what the engine printed is no report ({error!r}). "
            f"Type: slipway provision {environment}"
        ) from None


def _host(name: str, report: Mapping[str, Any]) -> dict[str, Any]:
    traffic = report["traffic"]
    samples = Samples(float(report["begin"]), float(traffic["width"]), [Bin(**each) for each in traffic["bins"]])
    activations = [
        Activation(**each | {"phases": [Phase(**phase) for phase in each["phases"]]}) for each in report["activations"]
    ]
    marks = [
        (Phase(_short(each), each.started_at, each.ended_at - each.started_at), _kind(each))
        for each in activations[-MARKED:]
    ]
    return {
        "name": name,
        "title": name,
        "what": f"{report['host']}, Slipway {report['version']}",
        "notes": _notes(report),
        "total": traffic["total"],
        "live": report["live"],
        "undone": sum(each.ended not in STAYED for each in activations),
        "deploys": [_row(each) for each in reversed(activations)],
        "routes": traffic["routes"],
        "releases": sorted(traffic["releases"], key=lambda row: (row["release"], row["slice"]), reverse=True),
        "slowest": traffic["slowest"],
        "restarts": report["restarts"],
        "charts": _charts(report),
        "spans": [],
        "bands": bands.lay_out(samples, marks),
        "panels": _panels(samples, report),
        "axis": chart.clock_axis(samples),
        "data": _for_script(samples, marks),
    }


def _notes(report: Mapping[str, Any]) -> list[str]:
    damaged, unread = report["traffic"]["damaged_lines"], report["unread_files"]
    notes = [f"{damaged:,} lines of the log are no requests, and are left out."] if damaged else []
    return notes + ([f"Not read, or not to their end: {', '.join(map(str, unread))}."] if unread else [])


def _panels(samples: Samples, report: Mapping[str, Any]) -> list[Panel]:
    counts = [0] * len(samples.bins)
    for event in report["restarts"]:
        if (index := samples.index(event["at"])) is not None:
            counts[index] += 1
    total = sum(counts)
    key = Key("c-failed" if total else "c-fine", f"{total} restarts" if total else "none")
    releases = dict.fromkeys(release for each in samples.bins for release in each.shares)
    shares = chart.shares(samples, {release: release for release in releases})
    used = _usage(report.get("usage"))
    return [
        chart.rate(samples),
        chart.failures(samples),
        chart.latency(samples, "response time, until the response begins"),
        *([shares] if shares else []),
        chart.events("restarts", "restarts", counts, key),
        *([used] if used else []),
    ]


def _usage(usage: Mapping[str, Any] | None) -> Panel | None:
    """Draw memory, swap and the fullest disks; None: there are no samples, or the engine takes none yet."""
    if not usage:
        return None
    disks = sorted(usage["disks"].items(), key=lambda disk: -max(filter(None, disk[1]), default=0))
    series = {Key("c-p50", "memory"): usage["memory"], Key("c-p99", "swap"): usage["swap"]}
    series |= {
        Key(f"c-release-{number}", f"disk {path}"): values for number, (path, values) in enumerate(disks[:MOST_DISKS])
    }
    known = {key: values for key, values in series.items() if any(value is not None for value in values)}
    return chart.linear("usage", "memory and disks in use, %", known, 100) if known else None


def _charts(report: Mapping[str, Any]) -> list[Bars]:
    memory, swap = report["memory"], {}
    if memory["swap_total"]:
        swap = {f"swap of {gibibytes(memory['swap_total'])}": memory["swap_total"] - memory["swap_free"]}
    machine = {f"memory of {gibibytes(memory['total'])}": memory["total"] - memory["available"]} | swap
    units = {
        _limited(unit["unit"], unit["max"]): unit["current"] for unit in report["units"] if unit["current"] is not None
    }
    peaks = {_limited(unit["unit"], unit["max"]): unit["peak"] for unit in report["units"] if unit["peak"] is not None}
    disks = {
        f"{disk['path']} of {gibibytes(disk['total'])}": 100 * (1 - disk["free"] / disk["total"])
        for disk in report["disks"]
    }
    charts = [_mebibytes("in use, MiB", machine), _mebibytes("memory of units, MiB", units)]
    charts += [_mebibytes("at most since its start, MiB", peaks)] * bool(peaks)
    return [*charts, bars("disk, percent in use", disks, "{:.0f}")]


def _mebibytes(title: str, values: Mapping[str, float]) -> Bars:
    return bars(title, {name: value / 2**20 for name, value in values.items()}, "{:,.0f}")


def _limited(unit: str, limit: int | None) -> str:
    return f"{unit.partition('@')[0].removesuffix('.service')}" + (f" of {gibibytes(limit)}" if limit else "")


def _kind(activation: Activation) -> str:
    return "cutover" if activation.ended in STAYED else "back"


def _short(activation: Activation) -> str:
    return f"{activation.what} {activation.release.rpartition('-')[2]}"


def _row(each: Activation) -> Row:
    """Return an activation with its phases on an axis of its own."""
    seconds = max(each.ended_at - each.started_at, 0.001)
    axis = Samples(each.started_at, seconds, [Bin()])
    phases = [(phase, bands.KINDS.get(phase.name, "plain")) for phase in each.phases]
    return Row(
        f"{each.what} {each.release}",
        each.by,
        each.ended,
        _kind(each),
        each.cause,
        each.started_at,
        each.ended_at,
        bands.lay_out(axis, phases),
    )


def _for_script(samples: Samples, marks: Sequence[tuple[Phase, str]]) -> str:
    """Return the values that page.js shows under the pointer, as JSON."""
    rows = [asdict(each) | {"shares": list(each.shares.items())} for each in samples.bins]
    phases = [[phase.name, phase.at - samples.begin, phase.seconds] for phase, _ in marks]
    return for_script({"begin": samples.begin, "width": samples.width, "bins": rows, "phases": phases})
