"""What a project's image is checked with: an environment's variables, settings, secrets for tests, and services.

`slipway check` takes those of the host of `slipway up`, and CI those of production.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from slipway.controller import inventory
from slipway.controller.build import Build
from slipway.controller.program import progress, which
from slipway.controller.project import Project
from slipway.model.errors import UsageError

PRODUCTION = "production"
EXAMPLE = "secrets.example.yml"
BROKERS = ("valkey-server", "redis-server", "valkey-check-rdb", "redis-check-rdb")
"""Programs of which one has to be here to run a broker beside the app."""


@dataclass(frozen=True)
class ImageSite:
    """The options of `slipway check`, and how the image is built."""

    variables: Path
    """A file of the variables, with the secrets' values for tests."""
    settings: Path | None
    beside: list[str]
    """Services that the app connects to: `postgres`, `valkey`."""
    values: Mapping[str, Any]
    """The variables of the first app host."""


def read(project: Project, sources: list[Path]) -> ImageSite:
    """Read an inventory, whose first file or folder is the environment's.

    Raises:
        InventoryError: it cannot be read, or has no hosts in the group `app`.
        UsageError: the examples of secrets are not YAML.
    """
    folder = sources[0]
    loaded = inventory.load(sources)
    values = next(iter(inventory.app_hosts(loaded, folder).values()))
    has_data = bool(loaded.get("data", {}).get("hosts"))
    derived = {"app_secrets": example_secrets(project, folder)} | ({"app_database": "data"} if has_data else {})
    variables = project.cache / "check.yml"
    variables.parent.mkdir(parents=True, exist_ok=True)
    variables.write_text(json.dumps(derived | values))  # JSON is YAML
    settings = Path(str(values.get("release_settings_file") or folder / "settings.env"))
    beside = _services(values) if has_data else []
    return ImageSite(variables, settings if settings.is_file() else None, beside, values)


def example_secrets(project: Project, folder: Path) -> dict[str, Any]:
    """Return the secrets' values for tests: an environment's own, else production's.

    Raises:
        UsageError: the file is not YAML.
    """
    files = (folder / EXAMPLE, project.inventories / PRODUCTION / EXAMPLE)
    file = next((file for file in files if file.is_file()), None)
    if file is None:
        return {}
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} is not YAML: {error}. Correct it.") from None
    secrets = content.get("app_secrets") if isinstance(content, dict) else None
    return secrets if isinstance(secrets, dict) else {}


def recipe(project: Project, values: Mapping[str, Any]) -> Build:
    """Return how an environment's image is built.

    Raises:
        SlipwayError: a folder or file of it is not there.
    """
    context, dockerfile = values.get("release_context") or ".", values.get("release_dockerfile") or "Dockerfile"
    target, procfile = (str(values.get(name) or "") for name in ("release_target", "release_procfile"))
    return Build.of(project, str(context), str(dockerfile), target=target, procfile=procfile)


def _services(values: Mapping[str, Any]) -> list[str]:
    if not values.get("data_broker", True):
        return ["postgres"]
    if any(which(name) for name in BROKERS):
        return ["postgres", "valkey"]
    progress("check: without a broker beside the app: none is installed (apt-get install redis-tools)")
    return ["postgres"]
