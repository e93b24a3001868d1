"""Manifests as the controller sends them."""

import json
from typing import Any

from slipway.engine.ship import architecture
from slipway.model.manifest import Manifest

IMAGE = "sha256:" + "1" * 64


def values(**changed: Any) -> dict[str, Any]:
    return {
        "commit": "a" * 40,
        "image": IMAGE,
        "image_name": "app:test",
        "architecture": architecture(),
        "entrypoint": [],
        "cmd": ["serve"],
        "env": {"PATH": "/usr/bin:/bin"},
        "workdir": "/",
        "procfile": {},
        "settings": {},
        "secrets_as_environment": [],
        "bytes": 1000,
        "inodes": 10,
        "by": "alice@laptop",
    } | changed


def manifest(**changed: Any) -> Manifest:
    return Manifest.parse(json.dumps(values(**changed)))
