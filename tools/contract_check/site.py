"""What a host would be told: the variables of the role `app`, and the unit that follows from them."""

import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import yaml

ROOT = Path(__file__).resolve().parents[2]
ROLES = ROOT / "ansible/roles"
# What systemd itself gives to every service.
OWN = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "USER": "app"}


class SiteError(ValueError):
    """A variable that cannot be used; the text says which and why."""


@dataclass(frozen=True)
class Site:
    """The role's defaults with what a person set."""

    values: dict[str, Any]

    @classmethod
    def read(cls, given: Iterable[str]) -> "Site":
        """Take NAME=VALUE, or @FILE of YAML in which variables of other roles are left out.

        Raises:
            SiteError: there is no such variable or file, or a value cannot be read here.
        """
        values: dict[str, Any] = {"nginx_server_names": ["localhost"]}
        for role in ("app", "release"):
            values |= yaml.safe_load((ROLES / role / "defaults/main.yml").read_text())
        values["app_probe_host"] = None
        # The defaults that refer to other variables; Ansible is not here to do it.
        values |= {"app_database": "embedded", "app_egress": None, "app_egress_networks": []}
        for item in given:
            values |= _file(Path(item[1:]), values) if item.startswith("@") else _assignment(item, values)
        values["app_egress"] = values["app_egress"] or ("internet" if values["app_database"] == "external" else "none")
        values["app_probe_host"] = values["app_probe_host"] or values["nginx_server_names"][0]
        return cls(values)

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    @property
    def secrets(self) -> dict[str, str]:
        """The app's secrets, by name."""
        return {name: str(value) for name, value in self["app_secrets"].items()}

    def unit(self) -> dict[str, list[str]]:
        """The lines of the app's unit that follow from variables, and those of its sandbox, by their names."""
        jinja = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)  # noqa: S701 -- no HTML
        jinja.filters["bool"] = lambda value: str(value).lower() in {"true", "yes", "on", "1"}
        template = jinja.from_string((ROLES / "app/templates/30-settings.conf.j2").read_text())
        lines = (ROOT / "systemd/sandbox.conf").read_text().splitlines()
        lines += template.render(self.values, __app_memory=self["app_memory_max"], __app_patience="").splitlines()
        unit: dict[str, list[str]] = {}
        for line in lines:
            name, equals, value = line.partition("=")
            if equals and not line.startswith("#"):
                unit.setdefault(name, []).append(value)
        return unit

    def environment(self) -> dict[str, str]:
        """What the unit puts into the app's environment."""
        unit = self.unit()
        words = [word for line in unit["Environment"] for word in shlex.split(line)]
        state = {"STATE_DIRECTORY": f"/var/lib/{unit['StateDirectory'][-1]}"}
        return OWN | dict(word.partition("=")[::2] for word in words) | state


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
