"""The table for the terminal, and the call of what draws the chart."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.host import CACHE, ROOT, run

Row = tuple[str, str, str, bool | None]
"""What, how much, the goal, whether it was reached (None: there is none)."""


def rows(figures: dict[str, dict[str, Any]]) -> list[Row]:
    """Every figure of the parts that were measured, beside its goal."""
    return [row for part, measured in figures.items() for row in ROWS[part](measured)]


def _serving(figures: dict[str, Any]) -> list[Row]:
    rates, p99, memory = figures["rates"], figures["p99_ms"], figures["memory_mb"]
    return [
        ("requests/s: ours", f"{rates['ours']:,.0f}", "", None),
        ("requests/s: textbook", f"{rates['textbook']:,.0f}", "", None),
        ("requests/s: gunicorn without nginx", f"{rates['direct']:,.0f}", "", None),
        _at_least("ours to textbook", figures["ours_to_textbook"], 1.6),
        _at_least("ours to gunicorn without nginx", figures["ours_to_direct"], 0.65),
        *[(f"CPU time a request: {name}", f"{used:.0f} us", "", None) for name, used in figures["cpu_us"].items()],
        (
            "p99: ours (textbook)",
            f"{p99['ours']:.1f} ms ({p99['textbook']:.1f} ms)",
            "no worse",
            p99["ours"] <= p99["textbook"],
        ),
        (f"memory of {figures['workers']} workers: ours (textbook)", _megabytes(memory), "", None),
    ]


def _deploying(figures: dict[str, Any]) -> list[Row]:
    def at_most(name: str, key: str, limit: float) -> Row:
        return name, f"{figures[key]:.1f} s", f"<= {limit:g} s", figures[key] <= limit

    return [
        at_most("site.yml, bare host to serving", "site_bare", 90),
        at_most("site.yml again, nothing to change", "site_again", 15),
        at_most("deploy.yml, a line of code, until it is live", "deploy_live", 10),
        ("deploy.yml, until the old release has ended", f"{figures['deploy']:.1f} s", "", None),
        ("  of it: bytes over the network", *_less("MB", figures["deploy_bytes"] / 1e6, 1)),
        *[(f"  of it: {name}", f"{seconds:.2f} s", "", None) for name, seconds in figures["phases"].items()],
        at_most("rollback.yml", "rollback", 4),
        at_most("slipway rollback on the host", "rollback_on_host", 1.5),
    ]


def _scaling(figures: dict[str, Any]) -> list[Row]:
    workers, routes = figures["workers"], figures["routes"]
    lines = [_others(figures)]
    for name, route in routes.items():
        by_workers = zip(workers, route["rate"], route["p99_ms"], route["cores"], strict=True)
        lines += [
            (
                f"{name}, {count} workers: requests/s; p99; CPUs busy",
                f"{rate:,.0f}; {p99:.0f} ms; {cores:.2f}",
                "",
                None,
            )
            for count, rate, p99, cores in by_workers
        ]
        lines.append((f"{name}: workers after which more are no use", str(route["knee"]), "", None))
    return lines + [
        (f"memory of {count} workers", f"{memory:.0f} MB", "", None)
        for count, memory in zip(workers, figures["memory_mb"], strict=True)
    ]


def _queue(figures: dict[str, Any]) -> list[Row]:
    return [
        _others(figures),
        *[
            (
                f"links followed, pictures made: {name}: median; p99; until all are made",
                f"{way['p50_ms']:.1f} ms; {way['p99_ms']:.1f} ms; {way['seconds']:.2f} s",
                "",
                None,
            )
            for name, way in figures["ways"].items()
        ],
    ]


def _others(figures: dict[str, Any]) -> Row:
    """What says whether the figures below are worth anything."""
    return "CPUs that other work used meanwhile", f"{figures['others']:.2f}", "<= 0.1", figures["others"] <= 0.1


ROWS: dict[str, Callable[[dict[str, Any]], list[Row]]] = {
    "deploying": _deploying,
    "serving": _serving,
    "scaling": _scaling,
    "queue": _queue,
}
"""The rows of each part."""


def _at_least(name: str, ratio: float, goal: float) -> Row:
    return name, f"{ratio:.2f} x", f">= {goal:g} x", ratio >= goal


def _less(unit: str, value: float, limit: float) -> tuple[str, str, bool]:
    return f"{value:.2f} {unit}", f"< {limit:g} {unit}", value < limit


def _megabytes(memory: dict[str, float]) -> str:
    return f"{memory['ours']:.0f} MB ({memory['textbook']:.0f} MB)"


def table(figures: dict[str, dict[str, Any]]) -> str:
    """All of it, in columns."""
    marks = {True: "reached", False: "NOT REACHED", None: ""}
    lines = [(what, much, goal, marks[reached]) for what, much, goal, reached in rows(figures)]
    widths = [max(len(line[column]) for line in lines) for column in range(3)]
    return "\n".join(
        f"{what:<{widths[0]}}  {much:>{widths[1]}}  {goal:>{widths[2]}}  {mark}".rstrip()
        for what, much, goal, mark in lines
    )


def draw() -> list[Path]:
    """Draw the figures that were saved, with an environment of the chart's own. Returns the pictures' paths."""
    project = str(ROOT / "bench")
    said = run(
        "env",
        f"UV_PROJECT_ENVIRONMENT={CACHE / 'venv'}",
        *("uv", "run", "--quiet", "--project", project, "--locked"),
        *("python", f"{project}/chart.py", str(CACHE / "figures.json"), str(CACHE)),
    )
    return [Path(line) for line in said.splitlines()]
