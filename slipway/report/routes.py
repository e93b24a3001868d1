"""Group requests by route: the app's own template, else the path with `{id}` in place of what looks like an id."""

import re
from collections import defaultdict
from functools import lru_cache

from slipway.report.tally import Tally

ID = re.compile(
    r"[\d.:_-]*\d[\d.:_-]*"  # a number or a date
    r"|(?=.*\d)[0-9A-Fa-f-]{8,}"  # hexadecimal, a UUID
    r"|(?=.*\d)(?=.*[a-z])(?=.*[A-Z]).{6,}"  # a short link
    r"|(?=.*\d).{16,}"  # a ULID
    r"|.{40,}"
)
"""The page tells the same in words (slipway/controller/page/report.html.j2)."""
MAX_SEGMENTS = 8
MANY_NAMES, FEW = 25, 0.01
"""Where so many names are in one folder, those with less than this share of its requests are ids, too."""
NOT_FOUND = "not found (404)"
"""In place of the paths that scanners try."""


@lru_cache(maxsize=5000)
def route(method: str, uri: str, template: str = "") -> str:
    """Return the method and the app's template, or the path without its query and with ids replaced."""
    if template:
        return f"{method} {template}"
    path = uri.partition("?")[0].partition("#")[0]
    segments = ["{id}" if ID.fullmatch(segment) else segment for segment in path.split("/")]
    if len(segments) > MAX_SEGMENTS + 1:
        segments[MAX_SEGMENTS + 1 :] = ["..."]
    return f"{method} {'/'.join(segments)}"


def fold(routes: dict[str, Tally]) -> None:
    """Replace names by `{id}` in folders that have many, as a link shortener's: the rarely requested ones."""
    folders: dict[str, list[str]] = defaultdict(list)
    for name in routes:
        if "/" in name:
            folders[name.rpartition("/")[0]].append(name)
    for folder, names in folders.items():
        if len(names) <= MANY_NAMES:
            continue
        few = FEW * sum(routes[name].requests for name in names)
        folded = Tally()
        for name in names:
            if routes[name].requests < few:
                folded.merge(routes.pop(name))
        routes.setdefault(f"{folder}/{{id}}", Tally()).merge(folded)
