"""The commit of Slipway whose workflows a project calls: `uses: acme/slipway/.github/workflows/X.yml@<commit> # v1`."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from slipway.controller.origin import Number, Origin, install_command, number
from slipway.controller.upgrade import UpgradeError
from slipway.controller.upgrade.edit import Edit

_PIN = re.compile(
    r"^(?P<before>[ \t]*(?:- )?uses:[ \t]*[\"']?(?P<repository>[\w.-]+/[\w.-]+)/\.github/workflows/[\w.-]+\.ya?ml@)"
    r"(?P<ref>[\w./-]+)(?P<quote>[\"']?)(?P<comment>[ \t]+#[ \t]*(?P<label>[^\s,;]+))?",
    re.MULTILINE,
)
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Pin:
    """One line."""

    path: Path
    line: int
    repository: str
    ref: str
    label: str
    """The version behind it; empty without one."""
    start: int
    """Index of the reference in the text."""
    end: int
    """Index behind it, its quotation mark and the version."""
    quote: str

    @property
    def place(self) -> str:
        """Where a person finds it."""
        return f"{self.path}, line {self.line}"

    def is_of(self, repository: str) -> bool:
        """Tell whether it is of a repository. GitHub takes Acme/Slipway for acme/slipway."""
        return self.repository.casefold() == repository.casefold()

    def version(self) -> Number:
        """Return the version.

        Raises:
            UpgradeError: it is no commit, or of no known version.
        """
        if not _COMMIT.fullmatch(self.ref):
            raise UpgradeError(
                f"{self.place} calls {self.repository} at {self.ref}, which is no commit: its owner could change "
                "what runs with your keys. Write the commit, and the version behind it: @<40 hex digits> # v1.0.0"
            )
        found = number(self.label)
        if found is None:
            raise UpgradeError(
                f"{self.place} calls {self.repository} at {self.ref[:7]}, and no version is behind it: which changes "
                "are new cannot be told. Write it there: # v1.0.0"
            )
        return found

    def move(self, to: Origin) -> Edit | None:
        """Return the change to another commit; None if it is there."""
        if (self.ref, self.label) == (to.commit, to.label):
            return None
        comment = f" # {to.label}" if to.label else ""
        told = f"{self.label or self.ref[:7]} -> {to.label or to.commit[:7]}"
        return Edit(self.start, self.end, f"{to.commit}{self.quote}{comment}", told)


def find(text: str, path: Path) -> Iterator[Pin]:
    """Yield the calls of reusable workflows in a workflow."""
    for match in _PIN.finditer(text):
        yield Pin(
            path=path,
            line=text.count("\n", 0, match.start("ref")) + 1,
            repository=match["repository"],
            ref=match["ref"],
            label=match["label"] or "",
            start=match.start("ref"),
            end=match.end(),
            quote=match["quote"],
        )


def oldest(pins: list[Pin], tool: Number, url: str) -> Number | None:
    """Return the oldest version that is called, None without a call.

    Raises:
        UpgradeError: one is newer than this tool, no commit, or of no known version.
    """
    versions = {pin.version(): pin for pin in pins}
    newest = max(versions, default=None)
    if newest is not None and newest > tool:
        pin, this = versions[newest], ".".join(map(str, tool))
        raise UpgradeError(
            f"{pin.place} calls {pin.label}, and this Slipway is {this}: an older one does not know what changed. "
            f"Type: {install_command(url, pin.label)}"
        )
    return min(versions, default=None)
