"""The commands of a page: what the tests run is what a reader types."""

import re
import shlex
from pathlib import Path


def blocks(page: Path, title: str) -> list[str]:
    """Return the page's blocks of commands below a heading, up to the next."""
    section = page.read_text().split(f"\n## {title}\n")[1].split("\n## ")[0]
    return re.findall(r"```sh\n(.*?)```", section, re.DOTALL)


def block(page: Path, title: str) -> str:
    """Return the first of them."""
    return blocks(page, title)[0]


def commands(page: Path, title: str) -> list[list[str]]:
    """Return the commands of that block."""
    return [shlex.split(line) for line in block(page, title).splitlines()]
