"""What a check has found."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class State(StrEnum):
    """How it stands."""

    OK = "ok"
    WRONG = "wrong"
    SKIPPED = "skipped"
    """It depends on a check that failed, or cannot be seen from here."""


@dataclass(frozen=True)
class Finding:
    """The result of one check."""

    where: str
    """`this machine`, `inventory`, or the name of a host."""
    check: str
    state: State
    found: str
    fix: str = ""
    """What to type or do."""


@dataclass(frozen=True)
class Place:
    """Makes the findings of one place."""

    name: str

    def ok(self, check: str, found: str, fix: str = "") -> Finding:
        """Return a finding that is as it should be."""
        return Finding(self.name, check, State.OK, found, fix)

    def wrong(self, check: str, found: str, fix: str) -> Finding:
        """Return a finding with what to type."""
        return Finding(self.name, check, State.WRONG, found, fix)

    def skipped(self, check: str, why: str) -> Finding:
        """Return a check that was not possible."""
        return Finding(self.name, check, State.SKIPPED, why)

    def verdict(self, check: str, found: str, fix: str) -> Finding:
        """Return a finding that is wrong if there is something to type."""
        return self.wrong(check, found, fix) if fix else self.ok(check, found)


def is_healthy(findings: Sequence[Finding]) -> bool:
    """Tell whether nothing is wrong."""
    return not any(finding.state is State.WRONG for finding in findings)


def as_text(findings: Sequence[Finding]) -> str:
    """Return the findings for people."""
    lines: list[str] = []
    width = max(len(finding.check) for finding in findings)
    for finding in findings:
        if finding.where not in {before.where for before in findings[: findings.index(finding)]}:
            lines += ["", finding.where]
        lines.append(f"  {finding.state:<8}{finding.check:<{width}}  {finding.found}")
        lines += [f"  {'':<8}{'':<{width}}  {line}" for line in finding.fix.splitlines()]
    count = sum(finding.state is State.WRONG for finding in findings)
    return "\n".join([*lines[1:], "", f"{count} of {len(findings)} checks are wrong" if count else "Nothing is wrong."])


def as_document(findings: Sequence[Finding]) -> dict[str, Any]:
    """Return the findings for a program."""
    return {"healthy": is_healthy(findings), "findings": [asdict(finding) for finding in findings]}
