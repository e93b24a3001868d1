"""The inventory of the host that stands for a VM of another environment: what `slipway up` serves without deploy/local.

It has that environment's variables, but for what only the real hosts have: addresses, keys, certificates, secrets.
"""

import json
from pathlib import Path
from typing import Any

from slipway.controller import inventory
from slipway.controller.image_site import example_secrets
from slipway.controller.project import LOCAL, Project, ProjectError, project_name

_PREFERRED = ("staging", "production")
_OF_REAL_HOSTS = (
    *("ansible_", "inventory_", "host_", "data_address", "engine", "kubernetes_"),
    *("nginx_http_port", "nginx_https_port", "nginx_tls", "nginx_acme_"),
)
"""Beginnings of the names of variables that are left out."""
_NAMES = ["localhost", "127.0.0.1"]


def write(project: Project) -> Path:
    """Write the inventory, and return its folder.

    Raises:
        ProjectError: there is no environment to take the variables of.
        InventoryError: its inventory cannot be read.
    """
    model = next((name for name in (*_PREFERRED, *project.environments) if name in project.environments), None)
    if model is None:
        raise ProjectError(f"No environment in {project.inventories}. Type: slipway init")
    source = project.environment(model)
    loaded = inventory.load([source])
    _, values = next(iter(inventory.app_hosts(loaded, source).items()))
    groups = ["app", *(["data"] if loaded.get("data", {}).get("hosts") else [])]
    hosts = {LOCAL: _variables(project, source, values)}
    folder = folder_of(project)
    folder.mkdir(parents=True, exist_ok=True)
    # JSON is YAML.
    text = json.dumps({group: {"hosts": hosts} for group in groups}, indent=2)
    (folder / "hosts.yml").write_text(f"# Written by Slipway: the environment {model}, on this machine.\n{text}\n")
    return folder


def folder_of(project: Project) -> Path:
    """Return the folder of the inventory. Its name is that of the environment."""
    return project.cache / "environments" / LOCAL


def _variables(project: Project, source: Path, values: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in values.items() if not name.startswith(_OF_REAL_HOSTS)}
    probed = [values["app_probe_host"]] if values.get("app_probe_host") else []
    derived: dict[str, Any] = {
        "host_admin": "admin",
        "host_project": project_name(str(project.root)),
        "nginx_server_names": [*_NAMES, *probed],
        "release_source": str(project.root),
    }
    if "release_settings_file" not in kept and (source / "settings.env").is_file():
        derived["release_settings_file"] = str(source / "settings.env")
    if "app_secrets" not in kept and (secrets := example_secrets(project, source)):
        derived["app_secrets"] = secrets
    return kept | derived
