"""Run all checks."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from slipway.controller import inventory, resources
from slipway.controller.doctor import host, machine
from slipway.controller.doctor.finding import Finding, Place
from slipway.controller.doctor.way import Way
from slipway.controller.init import unanswered
from slipway.controller.playbook import sources
from slipway.controller.project import LOCAL, Project
from slipway.controller.variables import of_roles, unknown_names
from slipway.model.errors import SlipwayError


def run(folder: Path, environment: str) -> Iterator[Finding]:
    """Yield what is found on this machine, and with an environment, on the way to each of its hosts and there."""
    yield from machine.checks()
    place = Place("inventory")
    try:
        project = Project.find(folder)
        yield place.ok("project", f"{project.root}: {', '.join(project.environments)}")
        if not environment:
            return
        found = sources(project, environment)
        loaded = inventory.load(found)
        hosts = inventory.app_hosts(loaded, found[0])
    except SlipwayError as error:
        again = f"then repeat: slipway doctor {environment}".rstrip()
        yield place.wrong("hosts" if environment else "project", str(error), again)
        return
    if environment != LOCAL and (left := unanswered(project.environment(environment))):
        fix = f"put in your own, then repeat: slipway doctor {environment}"
        yield place.wrong("hosts", f"{left} is an example that slipway init wrote", fix)
        return
    # Provisioning logs in to a data host of its own, too.
    alone = [name for name in loaded.get("data", {}).get("hosts", []) if name not in hosts]
    every = hosts | {name: loaded["_meta"]["hostvars"].get(name, {}) for name in alone}
    yield place.ok("hosts", ", ".join(every))
    yield _variables(place, every)
    ways = [Way(name, values, is_app=name in hosts) for name, values in every.items()]
    with ThreadPoolExecutor() as pool:
        for findings in pool.map(lambda way: _of_host(way, project, environment), ways):
            yield from findings


def _variables(place: Place, hosts: inventory.Hosts) -> Finding:
    unknown = unknown_names({name for values in hosts.values() for name in values}, of_roles(resources.ROLES))
    listed = ", ".join(f"{name} ({about})" if about else name for name, about in unknown.items())
    if listed:
        return place.wrong("variables", f"no role has {listed}", "correct the names: docs/reference/variables.md")
    return place.ok("variables", "every name is known")


def _of_host(way: Way, project: Project, environment: str) -> list[Finding]:
    try:
        return [*way.checks(), *host.checks(way, project, environment)]
    except SlipwayError as error:
        return [way.place.wrong("inventory", str(error), f"then repeat: slipway doctor {environment}")]
