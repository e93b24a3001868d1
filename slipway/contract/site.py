"""A host's configuration: the variables of the role `app`, and the unit rendered from these variables."""

import shlex
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from slipway import units
from slipway.controller import resources
from slipway.units import data, drop_ins

# systemd sets these for every service.
SYSTEMD_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "USER": "app",
}


class SiteError(ValueError):
    """A variable that cannot be used; the message names the variable and the reason."""


@dataclass(frozen=True)
class Site:
    """The role's defaults, overridden by the command line's variables."""

    values: dict[str, Any]

    @classmethod
    def read(cls, extra_vars: Iterable[str]) -> "Site":
        """Read NAME=VALUE, or @FILE of YAML whose variables of other roles are ignored.

        Raises:
            SiteError: a variable or file does not exist, or a value cannot be read without Ansible.
        """
        values: dict[str, Any] = {"nginx_server_names": ["localhost"], "nginx_tls": "none", "nginx_client_scheme": ""}
        for role in ("app", "release"):
            values |= yaml.safe_load((resources.ROLES / role / "defaults/main.yml").read_text())
        values["app_probe_host"] = None
        # These defaults refer to other variables, which only Ansible resolves.
        values |= {"app_database": "embedded", "app_egress": None, "app_egress_networks": []}
        for item in extra_vars:
            values |= _file(Path(item[1:]), values) if item.startswith("@") else _assignment(item, values)
        values["app_egress"] = values["app_egress"] or ("internet" if values["app_database"] == "external" else "none")
        values["app_probe_host"] = values["app_probe_host"] or values["nginx_server_names"][0]
        site = cls(values)
        site.unit()  # raises for a value that is not a number
        return site

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    @property
    def scheme(self) -> str:
        """The scheme that clients use."""
        return str(self["nginx_client_scheme"] or ("http" if self["nginx_tls"] == "none" else "https"))

    @property
    def secrets(self) -> dict[str, str]:
        """The app's secrets, by name."""
        return {name: str(value) for name, value in self["app_secrets"].items()}

    def _typed(self) -> units.Site:
        """Convert to the variables that the units are rendered from."""
        return units.Site(
            workload=self["app_workload"],
            workers=_integer("app_workers", self["app_workers"]),
            memory_max=self["app_memory_max"],
            preload=_is_true(self["app_preload"]),
            allow_jit=_is_true(self["app_allow_jit"]),
            secrets=tuple(self["app_secrets"]),
            request_timeout=_integer("app_request_timeout", self["app_request_timeout"]),
        )

    def settings_dropin(self) -> str:
        """Render 30-settings.conf as the role app does for the web server."""
        return drop_ins.settings(self._typed(), self["app_memory_max"], timeout="")

    def data_environment(self, unit: str, *, broker: bool, by_port: bool = False) -> dict[str, str]:
        """Read the environment that 40-data.conf gives a unit (`app`, `migrate`, a process) on a host with data."""
        names = data.Names(self["app_database_scheme"], self["app_database_url"], self["app_data_environment"])
        host = units.DataHost(local=True, broker=broker, connections=10, tcp=by_port, names=names)
        lines = drop_ins.data(replace(self._typed(), data=host), unit, connections=2).splitlines()
        words = (line.partition("=")[2] for line in lines if line.startswith("Environment="))
        return dict(word.partition("=")[::2] for text in words for word in shlex.split(text.replace("%%", "%")))

    def unit(self) -> dict[str, list[str]]:
        """Read the directives of the app's unit that variables set, and those of its sandbox, by name."""
        lines = (resources.SYSTEMD / "sandbox.conf").read_text().splitlines()
        lines += self.settings_dropin().splitlines()
        unit: dict[str, list[str]] = {}
        for line in lines:
            name, equals, value = line.partition("=")
            if equals and not line.startswith("#"):
                unit.setdefault(name, []).append(value)
        return unit

    def environment(self) -> dict[str, str]:
        """Read the environment that the unit gives the app."""
        unit = self.unit()
        words = [word for line in unit["Environment"] for word in shlex.split(line)]
        state = {"STATE_DIRECTORY": f"/var/lib/{unit['StateDirectory'][-1]}"}
        return SYSTEMD_ENVIRONMENT | dict(word.partition("=")[::2] for word in words) | state


def _is_true(value: Any) -> bool:
    """Read a boolean as Ansible does, where a person may have written a string."""
    return str(value).lower() in {"true", "yes", "on", "1"}


def _integer(name: str, value: Any) -> int:
    """Read a whole number.

    Raises:
        SiteError: the value is not a whole number.
    """
    try:
        return int(value)
    except (TypeError, ValueError):
        raise SiteError(f"{name} is {value!r}, and must be a whole number: give for example -e {name}=30.") from None


def _assignment(text: str, known: dict[str, Any]) -> dict[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or name not in known:
        names = ", ".join(sorted(name for name in known if name.startswith("app_")))
        raise SiteError(f"{text!r} is not NAME=VALUE with a variable of the app: use one of {names}.")
    try:
        return {name: yaml.safe_load(_value(name, value)) if value else ""}
    except yaml.YAMLError:
        raise SiteError(f"The value in {text!r} is not one line of YAML: correct it.") from None


def _file(path: Path, known: dict[str, Any]) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise SiteError(f"{path} cannot be read as YAML: {error}") from None
    if not isinstance(values, dict):
        raise SiteError(f"{path} has no variables: write NAME: VALUE, one per line.")
    used = [name for name in values if name in known and not name.startswith("release_")]
    return {name: _value(name, values[name]) for name in used}


def _value(name: str, value: Any) -> Any:
    if "{{" in str(value):
        raise SiteError(f"{name} is {value!r}, which only Ansible can work out: give the value, -e {name}=...")
    return value
