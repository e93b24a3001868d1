"""The variables that an inventory sets: the names that no role knows, and secrets that are no text."""

import difflib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import yaml

PREFIX_OF_ALL = "slipway_"
OUTSIDE_OF_ROLES = frozenset({"slipway_root"})
FACTS = frozenset({"host_provisioned", "data_provides", "data_certificate", "hardening_swap_added"})
"""Set by a role for others, in a run: no inventory sets them."""


@dataclass(frozen=True)
class Renamed:
    """What a variable is called now."""

    name: str
    since: str
    """The version that renamed it."""


RENAMED: dict[str, Renamed] = {"host_ssh_hardened": Renamed("hardening_ssh", "1.0.0")}
"""By the old name. `slipway upgrade` writes the new names, and the preflight tells them."""


def of_roles(folder: Path) -> dict[str, set[str]]:
    """Return the variables of each role, as meta/argument_specs.yml documents them."""
    return {
        file.parents[1].name: set(yaml.safe_load(file.read_text(encoding="utf-8"))["argument_specs"]["main"]["options"])
        for file in folder.glob("*/meta/argument_specs.yml")
    }


def unknown_names(names: Iterable[str], roles: Mapping[str, Collection[str]]) -> dict[str, str]:
    """Return the names that look like a variable of a role and are none, each with what is told of it.

    Args:
        names: all variables of a host.
        roles: the variables of each role, by the role's name.
    """
    known = {name for variables in roles.values() for name in variables} | OUTSIDE_OF_ROLES | FACTS
    prefixes = (PREFIX_OF_ALL, *(f"{role}_" for role in roles))
    wrong = sorted({name for name in names if name.startswith(prefixes)} - known)
    return {name: _about(name, known) for name in wrong}


def _about(name: str, known: Collection[str]) -> str:
    if renamed := RENAMED.get(name):
        return f"since {renamed.since} it is {renamed.name}: slipway upgrade"
    meant = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"did you mean {meant[0]}?" if meant else ""


def not_text(secrets: Mapping[str, object]) -> dict[str, str]:
    """Return the secrets that YAML did not read as text, by name, each with what it was read as. No value is told."""
    return {name: _kind(value) for name, value in secrets.items() if not isinstance(value, str)}


def _kind(value: object) -> str:
    # A truth value is a number to Python, and a time is a date.
    if isinstance(value, bool):
        return "yes or no"
    if value is None:
        return "nothing"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, date):
        return "a date"
    return "a mapping" if isinstance(value, Mapping) else "a list"
