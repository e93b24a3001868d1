"""The values that a repository's example files give to settings."""

import io
import re
from pathlib import Path, PurePosixPath

from dotenv.parser import parse_stream

from slipway.controller.init import text
from slipway.controller.init.sources import Module

EXAMPLE = re.compile(
    r"\.?env[\w.-]*[._-](example|sample|template|dist|tmpl|default)|\.?(example|sample|template)[._-]env"
)
"""The names of files with example values: `.env.example`, `env.template`, `.env.prod.example`."""
DEVELOPMENT = re.compile(r"dev|local|test")


def example_values(folder: Path, base: PurePosixPath, modules: list[Module]) -> dict[str, str]:
    """Return the values of example files, those nearest to the code last."""
    above = {place for module in modules for place in module.path.parents}
    values: dict[str, str] = {}
    for place in sorted(
        {PurePosixPath(), *base.parents, base, *above}, key=lambda place: (len(place.parts), str(place))
    ):
        # Production's values come last, and so win.
        for path in sorted((folder / place).iterdir(), key=lambda path: (not DEVELOPMENT.search(path.name), path.name)):
            if EXAMPLE.fullmatch(path.name) and path.is_file():
                bindings = parse_stream(io.StringIO(text.read(path)))
                values |= {binding.key: binding.value for binding in bindings if binding.key and binding.value}
    return values
