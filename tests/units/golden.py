"""Units of a site as one text that a person can read and compare: python -m tests.units.golden writes golden/."""

from collections.abc import Mapping
from pathlib import Path

from slipway.units import Site, render
from tests.units.sites import SITES

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = Path(__file__).parent / "golden"


def read_systemd() -> dict[str, str]:
    folder = ROOT / "systemd"
    return {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*.*")) if path.is_file()}


def show(files: Mapping[str, str], systemd: Mapping[str, str]) -> str:
    """List the files; those that have a text in common together, and a file of systemd/ by its name only."""
    names = {text: f"systemd/{name}" for name, text in systemd.items()}
    paths: dict[str, list[str]] = {}
    for path, text in sorted(files.items()):
        paths.setdefault(text, []).append(path)
    blocks = []
    for text, same in sorted(paths.items(), key=lambda item: item[1]):
        head = "".join(f"==> {path}\n" for path in same)
        blocks.append(head + (f"is {names[text]}\n" if text in names else text))
    return "\n".join(blocks)


if __name__ == "__main__":
    for name, variables in SITES.items():
        (GOLDEN / f"{name}.txt").write_text(show(render(Site.parse(variables), read_systemd()).files, read_systemd()))
