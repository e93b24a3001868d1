"""Checks of what a data host of its own told: its services, its disk and its problems."""

from collections.abc import Iterator

from slipway.controller.doctor.finding import Finding
from slipway.controller.doctor.way import Way


def checks(way: Way) -> Iterator[Finding]:
    """Yield the findings."""
    services = way.status["services"]
    for unit, state in services.items():
        fix = "" if state == "active" else f"journalctl -u {unit} -n 50, on the host; then systemctl restart {unit}"
        yield way.place.verdict("service", f"{unit} is {state}", fix)
    yield way.place.ok("disk", f"{way.status['disk']['free_bytes'] >> 20} MiB free for data")
    # Other checks have these.
    known = {"reboot", "clock", *(f"unit:{unit}" for unit in services)}
    for each in way.status["problems"]:
        if each["key"] not in known:
            yield way.place.wrong("problem", ": ".join(filter(None, (each["title"], each["detail"]))), each["next"])
