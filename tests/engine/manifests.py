"""Manifests as the controller sends them."""

import json
from typing import Any

from slipway.ship import Manifest, architecture

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
        "preload": True,
        "bytes": 1000,
        "inodes": 10,
        "by": "alice@laptop",
        "force": False,
    } | changed


def manifest(**changed: Any) -> Manifest:
    return Manifest.parse(json.dumps(values(**changed)))
