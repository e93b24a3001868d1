"""The path that tells whether the app is ready."""

import ast
from collections.abc import Iterator

from slipway.controller.init.application import CLASSES, App
from slipway.controller.init.sources import ASIDE, Module, Sources

USUAL = (
    "/readyz", "/ready", "/readiness", "/health/ready", "/healthz", "/health", "/healthcheck", "/health-check",
    "/api/health", "/status", "/livez", "/ping", "/up",
)  # fmt: skip
"""The most telling first: readiness includes the database, health mostly, a ping does not."""


def find_ready_path(paths: set[str]) -> str:
    """Return the first usual path that an app answers, also below a prefix; empty if there is none."""
    exact = [path for path in USUAL if path in paths or f"{path}/" in paths]
    nested = sorted(path for path in paths for usual in USUAL if path.rstrip("/").endswith(usual) and "{" not in path)
    found = next(iter(exact or nested), "")
    return found if not found or found in paths else f"{found}/"


def default_path(sources: Sources, app: App) -> str:
    """Return a path that every FastAPI app answers with 200: its documentation, or / where that is switched off."""
    own = [module for module in sources.modules if module.path == app.file and _creates(module)]
    modules = own or [module for module in sources.modules if _creates(module)]  # a factory elsewhere
    arguments = {name: value for module in modules for name, value in _named(module.tree)}
    docs = arguments.get("docs_url")
    if isinstance(docs, ast.Constant) and docs.value:
        return str(docs.value)
    for value in (docs, arguments.get("openapi_url")):
        # None, or computed: off in production, as it is usually written.
        if value is not None and not isinstance(value, ast.JoinedStr) and not _is_text(value):
            return "/"
    return "/docs" if any("FastAPI" in module.text for module in modules) else "/"


def _creates(module: Module) -> bool:
    calls = (node for node in ast.walk(module.tree) if isinstance(node, ast.Call))
    return not ASIDE.intersection(module.path.parts) and any(
        CLASSES.fullmatch(module.resolve(call.func)) for call in calls
    )


def _named(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """Yield arguments by name, also those that are in a mapping first."""
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg:
            yield node.arg, node.value
        elif isinstance(node, ast.Dict):
            yield from (
                (str(key.value), value)
                for key, value in zip(node.keys, node.values, strict=True)
                if isinstance(key, ast.Constant)
            )


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and bool(node.value)
