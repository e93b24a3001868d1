"""What changed between two versions, from CHANGELOG.md."""

import re

from slipway.controller import resources
from slipway.controller.origin import Number, number

FILE = resources.ROOT / "CHANGELOG.md"
_HEADING = re.compile(r"^## \[(?P<version>[^\]]+)\].*$", re.MULTILINE)


def between(text: str, older: Number, newer: Number, *, unreleased: bool) -> str:
    """Return the sections of the versions after `older` up to `newer`; with `unreleased` those of no version, too."""
    headings = list(_HEADING.finditer(text))
    ends = [heading.start() for heading in headings[1:]] + [len(text)]
    kept: list[str] = []
    for heading, end in zip(headings, ends, strict=True):
        version = number(heading["version"])
        if older < version <= newer if version else unreleased:
            kept.append(text[heading.start() : end].strip())
    return "\n\n".join(kept)
