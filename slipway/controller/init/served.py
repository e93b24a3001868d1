"""The folders that an app serves files or templates from, which the image needs whatever else is in them."""

import ast
from collections.abc import Iterator
from pathlib import PurePosixPath

from slipway.controller.init.sources import ASIDE, Sources

SERVES = {"StaticFiles", "Jinja2Templates", "FileResponse"}


def served_folders(sources: Sources) -> tuple[PurePosixPath, ...]:
    """Return the folders that the code names as texts, as seen from where the app is started."""
    return tuple(dict.fromkeys(path for path in _named(sources) if path.parts and ".." not in path.parts))


def _named(sources: Sources) -> Iterator[PurePosixPath]:
    for module in sources.modules:
        calls = (node for node in ast.walk(module.tree) if isinstance(node, ast.Call))
        for call in calls if not ASIDE.intersection(module.path.parts) else ():
            kind = module.resolve(call.func).rpartition(".")[2]
            named = [keyword.value for keyword in call.keywords if keyword.arg in {"directory", "path"}]
            for argument in (*call.args[:1], *named) if kind in SERVES else ():
                value = argument.value if isinstance(argument, ast.Constant) else None
                if isinstance(value, str) and not value.startswith("/"):
                    yield PurePosixPath(value).parent if kind == "FileResponse" else PurePosixPath(value)
