"""The figures as a table for the terminal, each beside its goal."""

from collections.abc import Callable
from typing import Any

from labs.bench import abuse

Row = tuple[str, str, str, bool | None]
"""Name, value, goal, whether the goal was reached (None: there is no goal)."""


def table(figures: dict[str, dict[str, Any]]) -> str:
    """Return all figures in columns."""
    marks = {True: "reached", False: "NOT REACHED", None: ""}
    lines = [(name, value, goal, marks[reached]) for name, value, goal, reached in rows(figures)]
    widths = [max(len(line[column]) for line in lines) for column in range(3)]
    return "\n".join(
        f"{name:<{widths[0]}}  {value:>{widths[1]}}  {goal:>{widths[2]}}  {mark}".rstrip()
        for name, value, goal, mark in lines
    )


def rows(figures: dict[str, dict[str, Any]]) -> list[Row]:
    """Return every figure of the parts that were measured."""
    return [row for part, measured in figures.items() for row in ROWS[part](measured)]


def _serving(figures: dict[str, Any]) -> list[Row]:
    rates, p99, memory = figures["rates"], figures["p99_ms"], figures["memory_mb"]
    return [
        ("requests/s: Slipway", f"{rates['slipway']:,.0f}", "", None),
        ("requests/s: baseline", f"{rates['baseline']:,.0f}", "", None),
        ("requests/s: gunicorn without nginx", f"{rates['direct']:,.0f}", "", None),
        _at_least("Slipway to baseline", figures["slipway_to_baseline"], 1.6),
        _at_least("Slipway to gunicorn without nginx", figures["slipway_to_direct"], 0.65),
        *[(f"CPU time per request: {name}", f"{used:.0f} us", "", None) for name, used in figures["cpu_us"].items()],
        (
            "p99: Slipway (baseline)",
            f"{p99['slipway']:.1f} ms ({p99['baseline']:.1f} ms)",
            "no worse",
            p99["slipway"] <= p99["baseline"],
        ),
        (f"memory of {figures['workers']} workers: Slipway (baseline)", _megabytes(memory), "", None),
    ]


def _deploying(figures: dict[str, Any]) -> list[Row]:
    def at_most(name: str, key: str, limit: float) -> Row:
        return name, f"{figures[key]:.1f} s", f"<= {limit:g} s", figures[key] <= limit

    return [
        at_most("site.yml, bare host to serving", "site_bare", 90),
        at_most("site.yml again, nothing to change", "site_again", 15),
        at_most("deploy.yml, a line of code, until it is live", "deploy_live", 10),
        ("deploy.yml, until the old release has retired", f"{figures['deploy']:.1f} s", "", None),
        ("  of it: bytes over the network", *_less("MB", figures["deploy_bytes"] / 1e6, 1)),
        *[(f"  of it: {name}", f"{seconds:.2f} s", "", None) for name, seconds in figures["phases"].items()],
        at_most("rollback.yml", "rollback", 4),
        at_most("slipway rollback on the host", "rollback_on_host", 1.5),
    ]


def _port(figures: dict[str, Any]) -> list[Row]:
    names = {"kept": "kept connections", "each": "a connection for each request"}
    return [
        _foreign_cpus(figures),
        *[
            (
                f"image on a port to handed socket, {name}: requests/s",
                f"{figures['ratios'][key]:.2f} x ({figures['rate'][f'port-{key}']:,.0f}, "
                f"{figures['rate'][f'socket-{key}']:,.0f})",
                "",
                None,
            )
            for key, name in names.items()
        ],
        *[
            (
                f"  p99; CPU time per request, {name}",
                "; ".join(
                    f"{figures['p99_ms'][f'{way}-{key}']:.1f} ms, {figures['cpu_us'][f'{way}-{key}']:.0f} us ({way})"
                    for way in ("port", "socket")
                ),
                "",
                None,
            )
            for key, name in names.items()
        ],
    ]


def _scaling(figures: dict[str, Any]) -> list[Row]:
    workers, routes = figures["workers"], figures["routes"]
    lines = [_foreign_cpus(figures)]
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
        lines.append((f"{name}: knee: fewest workers at 95 % of the best rate", str(route["knee"]), "", None))
    return lines + [
        (f"memory of {count} workers", f"{memory:.0f} MB", "", None)
        for count, memory in zip(workers, figures["memory_mb"], strict=True)
    ]


def _queue(figures: dict[str, Any]) -> list[Row]:
    return [
        _foreign_cpus(figures),
        *[
            (
                f"following a link, pictures made by: {name}: median; p99; seconds for the pictures",
                f"{method['p50_ms']:.1f} ms; {method['p99_ms']:.1f} ms; {method['seconds']:.2f} s",
                "",
                None,
            )
            for name, method in figures["methods"].items()
        ],
    ]


def _abuse(figures: dict[str, Any]) -> list[Row]:
    return [
        (f"20 requests/s beside {kind.replace('_', ' ')}, {number}: median, p99", abuse.text(sample), "", None)
        for kind, samples in figures.items()
        for number, sample in samples.items()
    ]


def _foreign_cpus(figures: dict[str, Any]) -> Row:
    """Tell whether the figures below are of an idle machine."""
    cpus = figures["foreign_cpus"]
    return "CPUs busy with other work", f"{cpus:.2f}", "<= 0.1", cpus <= 0.1


ROWS: dict[str, Callable[[dict[str, Any]], list[Row]]] = {
    "deploying": _deploying,
    "serving": _serving,
    "port": _port,
    "scaling": _scaling,
    "queue": _queue,
    "abuse": _abuse,
    "handshakes": _abuse,
}
"""By part."""


def _at_least(name: str, ratio: float, goal: float) -> Row:
    return name, f"{ratio:.2f} x", f">= {goal:g} x", ratio >= goal


def _less(unit: str, value: float, limit: float) -> tuple[str, str, bool]:
    return f"{value:.2f} {unit}", f"< {limit:g} {unit}", value < limit


def _megabytes(memory: dict[str, float]) -> str:
    return f"{memory['slipway']:.0f} MB ({memory['baseline']:.0f} MB)"
