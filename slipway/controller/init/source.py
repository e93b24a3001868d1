"""The Slipway whose workflows those of a project call."""

import re
from dataclasses import dataclass
from pathlib import Path

from slipway.controller import origin
from slipway.controller.origin import Origin
from slipway.controller.upgrade import pins
from slipway.model.errors import UsageError

TYPED = re.compile(r"([\w.-]+/[\w.-]+)@([0-9a-f]{40})(?: ?# ?(\S+))?")
GITHUB = re.compile(r"(?:https://(?:[^@/]+@)?|ssh://git@)github\.com/([\w.-]+/[\w.-]+?)(?:\.git)?/?")
VERSION = re.compile(r"v\d+(\.\d+)*")


@dataclass(frozen=True)
class Source:
    """A repository on GitHub and the commit in it."""

    repository: str
    """`acme/slipway`."""
    commit: str
    version: str
    """What a person calls the commit: a tag. Empty if it has none."""

    @classmethod
    def written(cls, workflow: Path) -> "Source | None":
        """Return the source that a project's workflow names; None without a workflow that names one."""
        text = workflow.read_text(encoding="utf-8", errors="replace") if workflow.is_file() else ""
        pin = next(pins.find(text, workflow), None)
        return cls(pin.repository, pin.ref, pin.label) if pin else None

    @classmethod
    def typed(cls, text: str) -> "Source":
        """Return the source that a person names: `acme/slipway@COMMIT`, with ` # v1.0.0` behind it if it has a tag.

        Raises:
            UsageError: it is none, or not a whole commit.
        """
        match = TYPED.fullmatch(text.strip())
        if not match:
            raise UsageError(
                f"--source {text!r} names no commit. Type OWNER/REPOSITORY@COMMIT with all of its 40 digits: a tag "
                "can be moved. git ls-remote https://github.com/OWNER/REPOSITORY v1.0.0 prints them."
            )
        return cls(match[1], match[2], match[3] or "")

    @classmethod
    def installed(cls) -> "Source | None":
        """Return the source that this tool was installed from; None if it was not by git from GitHub."""
        found = origin.recorded()
        return cls.of(found) if found else None

    @classmethod
    def of(cls, found: Origin) -> "Source | None":
        """Return the source of an origin; None if that is not on GitHub. A branch is no version."""
        match = GITHUB.fullmatch(found.url)
        return cls(match[1], found.commit, found.label if VERSION.fullmatch(found.label) else "") if match else None
