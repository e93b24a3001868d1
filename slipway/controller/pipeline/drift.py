"""The step that reads what differs on each host from what provisioning left."""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from slipway.controller import host_status
from slipway.controller.github.hosts import read_inventory
from slipway.controller.host_status import NoStatusError
from slipway.controller.pipeline import PipelineError
from slipway.controller.project import Project
from slipway.controller.ssh import arguments, write_strict_ssh

HOW = ("added", "changed", "removed")
STATES = {"none": "missing", "failing": "not renewed"}


def differences(project: Project, environments: Sequence[str]) -> str:
    """Return as Markdown what differs on the hosts of the environments; nothing if nothing does.

    A host that cannot be reached, or has not looked for two days, counts as a difference. Of each environment it reads
    SLIPWAY_KNOWN_HOSTS_<ENVIRONMENT>, without which it is left out, and SLIPWAY_STATUS_KEY_<ENVIRONMENT>; without that,
    your own keys are tried.

    Raises:
        PipelineError: no hosts are known.
        SetupError: there is no such inventory.
    """
    known = {name: os.environ.get(f"SLIPWAY_KNOWN_HOSTS_{_suffix(name)}", "") for name in environments}
    if not any(known.values()):
        raise PipelineError(f"no hosts are known of: {' '.join(known)}. Type: slipway github {environments[-1]}")
    found = {name: _of_environment(project, name, lines) for name, lines in known.items() if lines}
    return "\n".join(
        f"### {environment}: {host}\n\n```\n{difference}\n```\n"
        for environment, hosts in found.items()
        for host, difference in hosts.items()
        if difference
    )


def _suffix(environment: str) -> str:
    return environment.upper().replace("-", "_")


def _of_environment(project: Project, environment: str, known_hosts: str) -> dict[str, str]:
    hosts = read_inventory(project.inventories, environment)
    key = os.environ.get(f"SLIPWAY_STATUS_KEY_{_suffix(environment)}")
    with tempfile.TemporaryDirectory() as folder:
        programs = write_strict_ssh(Path(folder), known_hosts, key)
        path = f"{programs}{os.pathsep}{os.environ['PATH']}"
        return {host.name: _of_host(arguments(host.name, host.values, "deploy"), path) for host in hosts}


def _of_host(args: list[str], path: str) -> str:
    try:
        values = host_status.ask(["ssh", *args], os.environ | {"PATH": path})
    except NoStatusError as error:
        # The last line says why; those before it would differ every night.
        return f"the host cannot be reached: {str(error).splitlines()[-1]}"
    try:
        lines = [_described(values["drift"]), *_certificates(values.get("certificates", []))]
        return "\n".join(filter(None, lines))
    except (KeyError, TypeError):
        return "the host's status has no drift: provision it"


def _described(drift: dict[str, Any]) -> str:
    """Return the names of what differs, one a line."""
    lines = {
        "never": ["the host has never looked"],
        "old": [f"the host has not looked since {drift['looked_at']}"],
    }.get(drift["state"], [])
    return "\n".join(lines + [f"{how} {name}" for how in HOW for name in drift[how]])


def _certificates(found: list[dict[str, Any]]) -> list[str]:
    """The certificates that a person has to look at, and why."""
    wanting = [(each, STATES.get(each["state"], each["state"])) for each in found if each["state"] != "valid"]
    return [
        f"the certificate of {each['name']} is {state}: {each['reason'] or 'no attempt failed'}"
        for each, state in wanting
    ]
