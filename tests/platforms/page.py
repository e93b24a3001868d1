"""The commands of a page: what the tests run is what a reader types."""

import re
import shlex
from pathlib import Path


def block(page: Path, title: str) -> str:
    """Return the page's first block of commands below a heading."""
    section = page.read_text().split(f"\n## {title}\n")[1]
    return str(re.findall(r"```sh\n(.*?)```", section, re.DOTALL)[0])


def commands(page: Path, title: str) -> list[list[str]]:
    """Return the commands of that block."""
    return [shlex.split(line) for line in block(page, title).splitlines()]
