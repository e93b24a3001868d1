"""Checks of what a host told."""

import re
from collections.abc import Iterator
from typing import Any

import yaml

from slipway import __version__
from slipway.controller import resources
from slipway.controller.doctor import data_host, site, state
from slipway.controller.doctor.finding import Finding
from slipway.controller.doctor.way import Way
from slipway.controller.project import LOCAL, Project, owner_conflict, project_name
from slipway.units.budget import Need

OLDEST_PYTHON = (3, 11)
LEAST_FREE_MB = 2000
"""A few releases, which share their unchanged files, and packages."""
MOST_SKEW_SECONDS = 5
MOST_SUDO_SECONDS = 4
"""Name servers that do not answer are given up after five and more."""


def checks(way: Way, project: Project, environment: str) -> Iterator[Finding]:
    """Yield the findings of a host to which `way` has led."""
    if way.told:
        yield from _system(way)
        yield _sudo(way, environment)
        yield from _room(way)
        yield _clock(way)
        yield from _updates(way)
    if way.status:
        yield _owner(way, project, environment)
        yield _engine(way, environment)
        yield from [_release(way, environment)] if way.is_app else data_host.checks(way)
        yield from state.checks(way, environment)
    if not way.is_app:
        return
    if environment == LOCAL:
        yield way.place.skipped("site", "the local host has ports of its own")
    else:
        yield from site.checks(way)


def _system(way: Way) -> Iterator[Finding]:
    told, place = way.told, way.place
    python = tuple(int(part) for part in re.findall(r"\d+", told["python"])[:2])
    fix = "use one of the systems below: they have 3.11 or newer" if python < OLDEST_PYTHON else ""
    yield place.verdict("Python", told["python"], fix)
    name, version = told["system"]
    supported = yaml.safe_load((resources.ROLES / "host/vars/main.yml").read_text(encoding="utf-8"))["__host_systems"]
    known = {each.casefold(): versions for each, versions in supported.items()}
    words = " or ".join(f"{each} {version}" for each, versions in supported.items() for version in versions)
    wanted = version in known.get(name, [])
    yield place.verdict("system", f"{name} {version}", "" if wanted else f"use a host with {words}")
    yield place.verdict("PID 1", told["init"], "" if told["init"] == "systemd" else "use a host with systemd as PID 1")


def _sudo(way: Way, environment: str) -> Finding:
    kind, place = way.told["sudo"], way.place
    if kind == "none":
        return place.wrong("sudo", "is not installed", "apt-get install sudo, on the host; or host_admin: root")
    if way.told["sudo_seconds"] > MOST_SUDO_SECONDS:
        slow = f"takes {way.told['sudo_seconds']:.0f} s, in each task of provisioning: it looks up the host's own name"
        return place.wrong("sudo", slow, f"echo 127.0.1.1 {way.told['name']} | sudo tee -a /etc/hosts, on the host")
    if kind == "password" and not way.values.get("ansible_become_password"):
        return place.ok("sudo", "wants a password", f"slipway provision {environment} -- --ask-become-pass")
    words = {"root": "not needed by root", "yes": "works without a password"}
    return place.ok("sudo", words.get(kind, "gets ansible_become_password"))


def _room(way: Way) -> Iterator[Finding]:
    told, place = way.told, way.place
    free, memory = told["free_mb"], told["memory_mb"]
    fix = f"make room, {LEAST_FREE_MB} MB: apt-get clean, journalctl --vacuum-size=500M" if free < LEAST_FREE_MB else ""
    yield place.verdict("space", f"{free} MB free" + " for releases" * way.is_app, fix)
    if not way.is_app:
        yield place.ok("memory", f"{memory} MB")
        return
    try:
        # As provisioning reckons; what PostgreSQL takes of it is known there alone.
        need = Need.of(memory, told["swap_mb"], 0, way.values.get("app_memory_max", "512M"), _processes(way))
    except ValueError:
        yield place.wrong("memory", f"app_memory_max is {way.values['app_memory_max']}", "write a size, as 512M")
        return
    fix = "a smaller app_memory_max, or a larger host" if not need.fits else ""
    yield place.verdict("memory", need.words() if fix else f"{memory} MB", fix)


def _processes(way: Way) -> list[dict[str, Any]]:
    """The processes beside the web server, where the inventory lists them and no template does."""
    listed = way.values.get("app_processes")
    return [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []


def _clock(way: Way) -> Finding:
    skew = way.told["time"] - way.requested_at
    # The answer was under way: the host's time lies between the two of this machine, after what the probe itself took.
    off = max(way.told.get("seconds", 0) - skew, skew - way.seconds, 0)
    fix = "sudo timedatectl set-ntp true, on the machine whose clock is wrong" if off > MOST_SKEW_SECONDS else ""
    return way.place.verdict("clock", f"{off:.0f} s from this machine's", fix)


def _updates(way: Way) -> Iterator[Finding]:
    """Provisioning makes security updates install themselves, and a reboot is somebody's decision."""
    pending, reboot = way.told.get("updates"), way.told.get("reboot")
    if pending is None:
        yield way.place.skipped("updates", "apt-get does not tell")
    else:
        advice = "sudo unattended-upgrade, on the host; by itself it does so once a day" if pending else ""
        yield way.place.ok("updates", f"{pending} security updates are not installed yet", advice)
    found = "none is pending" if reboot is None else f"is pending: {reboot or 'no package is named'}"
    fix = "" if reboot is None else "sudo systemctl reboot, when few use the site; or set hardening_reboot_at"
    yield way.place.verdict("reboot", found, fix)


def _owner(way: Way, project: Project, environment: str) -> Finding:
    recorded: dict[str, Any] = way.status.get("site") or {}
    ours = str(way.values.get("host_project") or project_name(str(project.root)))
    conflict = owner_conflict(recorded, ours, environment, way.values.get("nginx_server_names") or [])
    if conflict:
        fix = f"correct ansible_host; to take it over: slipway provision {environment} -- -e host_adopted=true"
        return way.place.wrong("owner", conflict, fix)
    return way.place.ok(
        "owner", " ".join(filter(None, (recorded.get("project"), recorded.get("environment")))) or "nobody yet"
    )


def _engine(way: Way, environment: str) -> Finding:
    version = way.status.get("version") or "before 0.9"
    fix = "" if version == __version__ else f"slipway provision {environment}, by the newer of the two"
    return way.place.verdict("engine", f"{version}, and this tool is {__version__}", fix)


def _release(way: Way, environment: str) -> Finding:
    condition, live = way.status.get("state"), way.status.get("live")
    if not live:
        return way.place.wrong("release", "none yet", f"slipway deploy {environment}")
    fix = "" if condition == "healthy" else f"slipway status {environment}"
    return way.place.verdict("release", f"{live} is {condition}", fix)
