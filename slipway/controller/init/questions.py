"""What cannot be found in a repository: the questions, and the answers that an earlier run left in deploy/."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

EXAMPLE_NAME = "www.example.com"
EXAMPLE_ADDRESS = "192.0.2.10"
EXAMPLE_STAGING_ADDRESS = "198.51.100.10"
EXAMPLE_KEY = "ssh-ed25519 REPLACE-THIS-BY-THE-LINE-OF-A-PUB-FILE you@example.com"


@dataclass(frozen=True)
class Question:
    """A question to a person."""

    text: str
    default: str
    """The answer where there is nobody to ask."""
    choices: tuple[str, ...] = ()
    """The possible answers; any text if empty."""


Ask = Callable[[Question], str]
"""Puts a question to a person and returns the answer."""


@dataclass(frozen=True)
class Site:
    """The answers about production."""

    name: str
    address: str
    deploy_key: str

    @property
    def is_example(self) -> bool:
        """Whether a person has still to put the host's address in."""
        return self.address == EXAMPLE_ADDRESS or self.deploy_key == EXAMPLE_KEY


def answer(ask: Ask | None, question: Question) -> str:
    """Put a question to a person; the default where there is nobody or the answer is empty."""
    return (ask(question).strip() if ask else "") or question.default


def find_site(production: Path, ask: Ask | None) -> Site:
    """Return what deploy/production says already, and the answers to what it does not.

    Args:
        production: the inventory, which need not exist.
        ask: puts a question to a person; None takes the defaults.
    """
    variables, host = recorded(production)
    names, keys = variables.get("nginx_server_names") or [], variables.get("host_deploy_keys") or []
    address = str(host.get("ansible_host", ""))
    key = str(keys[0]) if keys else own_key()
    return Site(
        name=str(names[0]) if names else answer(ask, Question("The site's name, as in a browser", EXAMPLE_NAME)),
        address=address
        or answer(ask, Question("The address of production's host, or Enter if there is none yet", EXAMPLE_ADDRESS)),
        deploy_key=key or answer(ask, Question("A public key that may deploy, the line of a .pub file", EXAMPLE_KEY)),
    )


def unanswered(inventory: Path) -> str:
    """Return in words which answer an environment still lacks without which no host can be reached; empty if none."""
    variables, host = recorded(inventory)
    if host.get("ansible_host") in {EXAMPLE_ADDRESS, EXAMPLE_STAGING_ADDRESS}:
        return f"ansible_host: {host['ansible_host']} in {inventory / 'hosts.yml'}"
    if EXAMPLE_KEY in (variables.get("host_deploy_keys") or []):
        return f"host_deploy_keys in {inventory / 'group_vars/all.yml'}"
    return ""


def recorded(inventory: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the variables of all hosts in an inventory, and those of its first host of the group `app`."""
    file = _read(inventory / "hosts.yml")
    hosts = _mapping(_mapping(file.get("app")).get("hosts"))
    return _read(inventory / "group_vars/all.yml"), _mapping(next(iter(hosts.values()), None))


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _read(path: Path) -> dict[str, Any]:
    """Read a mapping from a YAML file; an empty one if the file is missing, broken or encrypted."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return {}
    return _mapping(content)


def own_key() -> str:
    """Return the public key of the person who runs this, empty if there is none."""
    folder = Path(os.environ.get("HOME", "/")) / ".ssh"
    for path in (folder / "id_ed25519.pub", *sorted(folder.glob("id_*.pub"))):
        try:
            return path.read_text(encoding="utf-8").strip()
        except OSError:
            continue
    return ""
