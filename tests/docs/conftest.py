"""What the tests of the documentation share: its pages, what they say in code, and what git has."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GENERATED = ROOT / "docs/reference/variables.md"
SCENARIOS = ROOT / "ansible/molecule"
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


def scenario(name: str) -> Path:
    """The folder of a Molecule scenario."""
    return SCENARIOS / name


def tracked() -> list[str]:
    """Every file in git's view, new ones too, as a path from the root."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [name for name in listed if (ROOT / name).is_file()]


TRACKED = tracked()
PAGES = [ROOT / name for name in TRACKED if name.endswith(".md")]


def prose(page: Path) -> str:
    """A page without its code blocks."""
    return FENCE.sub("", page.read_text())


def spans(page: Path) -> list[str]:
    """The `code` inside of a page's prose."""
    return re.findall(r"`([^`\n]+)`", prose(page))


def blocks(page: Path) -> list[str]:
    """The code blocks of a page, without its pictures."""
    return [text for language, text in FENCE.findall(page.read_text()) if language != "mermaid"]


def code(page: Path) -> str:
    """All code of a page, one span or line of a block per line."""
    return "\n".join([*spans(page), *blocks(page)])


def label(page: Path) -> str:
    """How a test names a page."""
    return str(page.relative_to(ROOT))
