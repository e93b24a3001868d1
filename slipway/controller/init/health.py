"""The path that tells whether the app is ready."""

import ast
import re
from collections.abc import Iterator

from slipway.controller.init.application import CLASSES, App
from slipway.controller.init.sources import ASIDE, Module, Sources

USUAL = (
    "/readyz", "/ready", "/readiness", "/health/ready", "/healthz", "/health", "/healthcheck", "/health-check",
    "/api/health", "/health/live", "/liveness", "/livez", "/alive", "/live", "/heartbeat", "/_health", "/status",
    "/ping", "/up",
)  # fmt: skip
"""The most telling first: readiness includes the database, health mostly, a ping does not."""


def find_ready_path(paths: set[str]) -> str:
    """Return the first usual path that an app answers, also below a prefix; empty if there is none."""
    exact = [path for path in USUAL if path in paths or f"{path}/" in paths]
    nested = sorted(path for path in paths for usual in USUAL if path.rstrip("/").endswith(usual) and "{" not in path)
    found = next(iter(exact or nested), "")
    return found if not found or found in paths else f"{found}/"


def checked_path(commands: str) -> str:
    """Return the path that commands of a Dockerfile's or Compose's health check ask for; empty without one."""
    requested = re.search(r"https?://(?:localhost|127\.0\.0\.1|0\.0\.0\.0)(?::[\w${}:-]+)?(/[\w./-]*)", commands)
    return requested[1] if requested else ""


def default_path(sources: Sources, app: App, paths: set[str]) -> str:
    """Return a path that FastAPI answers with 200 by itself: its documentation, or its schema where that may be off.

    /, if the schema may be off, too, or if the app has that route and no documentation. `paths`: those of the app.
    """
    own = [module for module in sources.modules if module.path == app.file and _creates(module)]
    modules = own or [module for module in sources.modules if _creates(module)]  # a factory elsewhere
    arguments = {name: value for module in modules for name, value in _named(module.tree)}
    docs, schema = arguments.get("docs_url"), arguments.get("openapi_url")
    # None, or computed: off in production, as it is usually written. Without the schema there is no documentation.
    if not any("FastAPI" in module.text for module in modules) or (schema and not _is_text(schema)):
        return "/"
    if docs and not _is_text(docs) and "/" in paths:
        return "/"
    for value, default in ((docs, "/docs"), (schema, "/openapi.json")):
        if value is None:
            return default
        if isinstance(value, ast.Constant) and value.value:
            return str(value.value)
    return "/"


def _creates(module: Module) -> bool:
    calls = (node for node in ast.walk(module.tree) if isinstance(node, ast.Call))
    return not ASIDE.intersection(module.path.parts) and any(
        CLASSES.fullmatch(module.resolve(call.func)) for call in calls
    )


def _named(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """Yield arguments by name, also those that are in a mapping first, or put into it later."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
            key = node.targets[0].slice
            if isinstance(key, ast.Constant):
                yield str(key.value), node.value
        if isinstance(node, ast.keyword) and node.arg:
            yield node.arg, node.value
        elif isinstance(node, ast.Dict):
            yield from (
                (str(key.value), value)
                for key, value in zip(node.keys, node.values, strict=True)
                if isinstance(key, ast.Constant)
            )


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and bool(node.value))
