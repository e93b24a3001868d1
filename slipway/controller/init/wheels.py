"""The newest Python that the locked versions of an app's packages have wheels for: building one needs a compiler."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from slipway.controller.init.packages import Packages
from slipway.controller.init.text import read, toml

WHEEL = re.compile(r"[\w.]+-[\w.+!]+(?:-\d\w*)?-(?P<python>[\w.]+)-(?P<abi>[\w.]+)-(?P<platform>[\w.]+)\.whl")
PINNED = re.compile(r"^\s*([A-Za-z0-9._-]+)(?:\[[^\]]*\])?\s*==\s*(\d+(?:\.\d+)*)", re.MULTILINE)
FIRST = {
    "aiohttp": {10: "3.8", 11: "3.8.2", 12: "3.9", 13: "3.10.6", 14: "3.13"},
    "asyncpg": {10: "0.25", 11: "0.27", 12: "0.29", 13: "0.30", 14: "0.31"},
    "greenlet": {10: "1.1.2", 11: "2.0", 12: "3.0", 13: "3.1", 14: "3.2.4"},
    "httptools": {10: "0.3", 11: "0.5", 12: "0.6.1", 13: "0.6.3", 14: "0.7"},
    "numpy": {10: "1.21.2", 11: "1.23.2", 12: "1.26", 13: "2.1", 14: "2.3.2"},
    "orjson": {10: "3.6.4", 11: "3.8.1", 12: "3.9.7", 13: "3.10.7", 14: "3.11.4"},
    "pandas": {10: "1.3.4", 11: "1.5.1", 12: "2.1.1", 13: "2.2.3", 14: "2.3.3"},
    "psycopg2-binary": {10: "2.9.2", 11: "2.9.5", 12: "2.9.8", 13: "2.9.10", 14: "2.9.11"},
    "pydantic-core": {12: "2.6", 13: "2.20", 14: "2.41"},
    "pyyaml": {10: "6.0", 11: "6.0", 12: "6.0.1", 13: "6.0.2", 14: "6.0.3"},
    "scikit-learn": {10: "1.0.2", 11: "1.2", 12: "1.3.1", 13: "1.5.2", 14: "1.7.2"},
    "sqlalchemy": {13: "2.0.31"},  # an older one is imported, and fails
    "uvloop": {10: "0.17", 11: "0.17", 12: "0.18", 13: "0.21", 14: "0.22"},
}
"""The first versions of common packages with wheels for Python 3.N, for files of requirements, which name no wheels."""


def newest_python(folder: Path, packages: Packages) -> int | None:
    """Return the minor version of Python 3, None if every version will do.

    Args:
        folder: the repository.
        packages: how the app's dependencies are declared and locked.
    """
    place = folder / packages.folder
    bounds = [*_of_lock(toml(place / packages.lock))] if packages.lock.endswith(".lock") else []
    bounds += [bound for file in packages.files if file.endswith(".txt") for bound in _of_pins(read(place / file))]
    return min(bounds, default=None)


def _of_lock(lock: dict[str, Any]) -> Iterator[int]:
    """Yield the newest version of each package in a lock of uv, Poetry or PDM that has wheels for versions alone."""
    for package in lock.get("package", []):
        listed = [*package.get("wheels", []), *package.get("files", [])]
        names = [str(each.get("file") or each.get("url", "")).rpartition("/")[2] for each in listed]
        minors = [*_minors(names)]
        if minors and all(minors):
            yield max(minors)


def _minors(files: Iterable[str]) -> Iterator[int]:
    """Yield the minor versions that wheels for Linux are for; 0 for any version."""
    for wheel in filter(None, map(WHEEL.fullmatch, files)):
        if "any" not in wheel["platform"] and "linux" not in wheel["platform"]:
            continue
        if wheel["abi"] in {"none", "abi3"}:
            yield 0
        yield from (int(minor) for minor in re.findall(r"\bcp3(\d+)\b", wheel["python"].replace(".", " ")))


def _of_pins(requirements: str) -> Iterator[int]:
    for name, version in PINNED.findall(requirements):
        first = FIRST.get(re.sub(r"[-_.]+", "-", name).lower(), {})
        missing = [minor for minor, since in first.items() if _parts(version) < _parts(since)]
        if missing:
            yield min(missing) - 1


def _parts(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]
