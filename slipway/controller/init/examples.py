"""The values that a repository's example files give to settings."""

import io
import re
from pathlib import Path, PurePosixPath

from dotenv.parser import parse_stream

from slipway.controller.init import text
from slipway.controller.init.context import ignored
from slipway.controller.init.sources import Module

EXAMPLE = re.compile(
    r"\.?env[\w.-]*[._-](example|sample|template|dist|tmpl|default)([_-]\w+)?|\.?(example|sample|template)[._-]env"
)
"""The names of files with example values: `.env.example`, `env.template`, `.env.prod.example`."""
COMMITTED = re.compile(r"\.env(\.[\w-]+)*|[\w-]+\.env")
"""The names of files with values of a machine, which are in git only if everybody may have these."""
USUAL = (
    (r"(\w+_)?ALGORITHM", "HS256"),
    (r"(\w+_)?ACCESS_TOKEN_(EXPIRE|EXPIRES|LIFETIME)(_IN)?_MINUTES", "30"),
    (r"(\w+_)?REFRESH_TOKEN_(EXPIRE|EXPIRES|LIFETIME)(_IN)?_DAYS", "7"),
    (r"((\w+_)?(APP|SERVER|API|UVICORN|FASTAPI|RUN|WEB)_+)?HOST", "0.0.0.0"),  # noqa: S104 -- of a network of its own
    (r"(\w+_)?(APP|SERVER|API|UVICORN|FASTAPI|RUN|WEB)_+PORT", "8000"),
    (r"(\w+_)?LOG(GING)?_LEVEL", "INFO"),
    (r"(\w+_)?(DEBUG|RELOAD|TESTING)", "false"),
)
"""Settings that most apps which insist on one have with the same value, for where no file of the repository has one."""
DEVELOPMENT = re.compile(r"dev|local|test")


def usual_value(name: str) -> str:
    """Return the value that most apps give a setting of this name; empty if there is none."""
    return next((value for pattern, value in USUAL if re.fullmatch(pattern, name)), "")


def example_values(folder: Path, base: PurePosixPath, modules: list[Module]) -> dict[str, str]:
    """Return the values of files that are in git, of each folder the examples last, and those nearest to the code."""
    above = {place for module in modules for place in module.path.parents}
    values: dict[str, str] = {}
    for place in sorted(
        {PurePosixPath(), *base.parents, base, *above}, key=lambda place: (len(place.parts), str(place))
    ):
        paths = [path for path in sorted((folder / place).iterdir()) if path.is_file()]
        private = ignored(folder / place, [path.name for path in paths if COMMITTED.fullmatch(path.name)])
        own = [
            path
            for path in paths
            if COMMITTED.fullmatch(path.name) and private is not None and path.name not in private
        ]
        # Production's values come last, and so win.
        for each in (own, [path for path in paths if EXAMPLE.fullmatch(path.name)]):
            for path in sorted(each, key=lambda path: not DEVELOPMENT.search(path.name)):
                bindings = parse_stream(io.StringIO(text.read(path)))
                values |= {binding.key: binding.value for binding in bindings if binding.key and binding.value}
    return values
