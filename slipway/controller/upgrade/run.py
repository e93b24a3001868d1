"""Move a project to the version of this tool: the pin of its workflows, and variables that were renamed."""

import difflib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from slipway import __version__
from slipway.controller import origin
from slipway.controller.origin import Number, Origin
from slipway.controller.program import output
from slipway.controller.project import Project
from slipway.controller.upgrade import UpgradeError, changelog, pins, renames
from slipway.controller.upgrade.edit import Edit, apply
from slipway.controller.upgrade.pins import Pin
from slipway.controller.variables import RENAMED

_UNKNOWN = (0, 0, 0)


@dataclass(frozen=True)
class Changed:
    """A file with its changes."""

    path: Path
    shown: str
    """Relative to the top of the repository."""
    text: str
    edits: tuple[Edit, ...]

    def diff(self) -> str:
        """Return what changes, as `git diff` shows it."""
        new = apply(self.text, self.edits)
        before, after = (f"{side}/{self.shown}" for side in "ab")
        lines = difflib.unified_diff(self.text.splitlines(True), new.splitlines(True), before, after)
        return "".join(lines)

    def write(self) -> None:
        """Write it. Line endings stay."""
        self.path.write_bytes(apply(self.text, self.edits).encode())


@dataclass(frozen=True)
class Plan:
    """What an upgrade would do."""

    changed: tuple[Changed, ...]
    has_pins: bool
    changes: str
    """The changelog between."""
    encrypted: tuple[str, ...]
    """Files that cannot be looked into."""
    environments: tuple[str, ...]
    newer: str
    """A version that is newer than this tool; empty if there is none, or no network."""
    source: Origin | None

    def lines(self) -> Iterator[str]:
        """Yield the plan as a person reads it, after it was carried out."""
        for file in self.changed:
            for edit in file.edits:
                yield f"{file.shown}:{edit.line(file.text)}  {edit.told}"
        if not self.changed:
            yield f"Nothing to change: this project is at Slipway {__version__}."
        if not self.has_pins:
            yield "No workflow calls Slipway's, so there is no pin to move."
        yield from (
            f"{path} is encrypted. Look for renamed variables: ansible-vault edit {path}" for path in self.encrypted
        )
        if self.changes:
            yield f"\n{self.changes}"
        if steps := list(self._next_steps()):
            yield "\nNext:"
            yield from (f"  {step}" for step in steps)

    def _next_steps(self) -> Iterator[str]:
        if self.changed:
            yield "git diff                          read it and commit it: CI deploys with this version from then on"
            for name in self.environments:
                yield f"slipway provision {name:<16}brings the host to this version, without a failed request"
            if self.source and self.source.label:
                command = origin.install_command(self.source.url, self.source.label)
                yield f"{command}\n    on every other machine that deploys"
        if self.newer and self.source:
            command = origin.install_command(self.source.url, self.newer)
            yield f"{command}\n    {self.newer} is there; then: slipway upgrade"


def plan(project: Project, source: Origin | None, *, is_look: bool) -> Plan:
    """Find what has to change.

    Args:
        project: the project.
        source: where this tool comes from; None if that was not noted when it was installed.
        is_look: nothing is going to be written, so that changes which are not committed do not matter.

    Raises:
        UpgradeError: a pin is none, is newer than this tool, or a file has changes that are not committed.
    """
    top = Path(output("git", "-C", str(project.root), "rev-parse", "--show-toplevel") or project.root)
    workflows = sorted(top.glob(".github/workflows/*.y*ml"))
    texts = _read([*workflows, *renames.files(project.inventories)])
    found = {path: list(pins.find(texts[path], path.relative_to(top))) for path in workflows}
    every = [pin for each in found.values() for pin in each]
    called = _called(every, source)
    mine = [pin for pin in every if pin.is_of(called)]
    if called and (source is None or source.repository.casefold() != called.casefold()):
        source = origin.of_version(called)
    if mine and source is None:
        raise UpgradeError(
            f"The workflows call {called}, and which of its commits is Slipway {__version__} is not known: it was not "
            f"installed from there. Type: {origin.install_command(f'https://github.com/{called}', f'v{__version__}')}"
        )
    tool = origin.number(__version__) or _UNKNOWN
    since = pins.oldest(mine, tool, source.url) if source else None
    changed = tuple(_changed(top, texts, found, source, called))
    if not is_look:
        _refuse_uncommitted(top, changed)
    is_tagged = bool(source and origin.number(source.label))
    text = changelog.FILE.read_text(encoding="utf-8") if since and changed else ""
    return Plan(
        changed=changed,
        has_pins=bool(mine),
        changes=changelog.between(text, since, tool, unreleased=not is_tagged) if since and text else "",
        encrypted=tuple(
            str(path.relative_to(top)) for path, text in texts.items() if RENAMED and renames.is_encrypted(text)
        ),
        environments=tuple(name for name in project.environments if name != "local"),
        newer=_newer(source, tool),
        source=source,
    )


def _read(paths: list[Path]) -> dict[Path, str]:
    texts: dict[Path, str] = {}
    for path in paths:
        try:
            texts[path] = path.read_bytes().decode()
        except UnicodeDecodeError as error:
            raise UpgradeError(f"{path} is no UTF-8 ({error}). Save it as UTF-8.") from None
    return texts


def _called(every: list[Pin], source: Origin | None) -> str:
    """Return the repository that is Slipway's among those whose workflows are called; empty if none is."""
    repositories = list(dict.fromkeys(pin.repository for pin in every))
    own = source.repository.casefold() if source else ""
    return next(
        (name for name in repositories if name.casefold() == own),
        next((name for name in repositories if name.casefold().endswith("/slipway")), ""),
    )


def _changed(
    top: Path, texts: dict[Path, str], found: dict[Path, list[Pin]], source: Origin | None, called: str
) -> Iterator[Changed]:
    for path, text in texts.items():
        if path in found:
            moved = [pin.move(source) for pin in found[path] if pin.is_of(called)] if source else []
            edits = tuple(edit for edit in moved if edit)
        else:
            edits = tuple(renames.edits(text, path.relative_to(top)))
        if edits:
            yield Changed(path, str(path.relative_to(top)), text, edits)


def _refuse_uncommitted(top: Path, changed: tuple[Changed, ...]) -> None:
    """Refuse to mix the upgrade with somebody's own changes.

    Raises:
        UpgradeError: a file that would be changed has changes that are not committed.
    """
    names = [file.shown for file in changed]
    command = ["git", "-C", str(top), "status", "--porcelain", "--", *names]
    dirty = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines() if names else []
    if dirty:
        listed = ", ".join(line[3:] for line in dirty)
        raise UpgradeError(
            f"{listed}: has changes that are not committed, and an upgrade is to be a commit of its own. Commit or "
            "stash them; slipway upgrade --check only shows what would change."
        )


def _newer(source: Origin | None, tool: Number) -> str:
    """Return the newest tag of the repository that is newer than this tool."""
    tags = {origin.number(tag) or _UNKNOWN: tag for tag in (origin.tags(source.url) if source and source.url else ())}
    newest = max(tags, default=_UNKNOWN)
    return tags[newest] if newest > tool else ""
