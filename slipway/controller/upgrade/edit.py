"""A text in which single words are replaced, and nothing else: comments, quotes and the order of lines stay."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Edit:
    """One replacement."""

    start: int
    """Index of the first character that goes."""
    end: int
    """Index behind the last one."""
    text: str
    told: str
    """What a person is told of it."""

    def line(self, text: str) -> int:
        """Return the number of its line."""
        return text.count("\n", 0, self.start) + 1


def apply(text: str, edits: Iterable[Edit]) -> str:
    """Return the text with all replacements made."""
    for edit in sorted(edits, key=lambda edit: edit.start, reverse=True):
        text = text[: edit.start] + edit.text + text[edit.end :]
    return text
