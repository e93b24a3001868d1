"""The time that a report is about."""

from enum import StrEnum


class Period(StrEnum):
    """The last day or the last week."""

    DAY = "1d"
    WEEK = "7d"

    @property
    def seconds(self) -> int:
        """Its length."""
        return {Period.DAY: 1, Period.WEEK: 7}[self] * 86_400

    @property
    def bin_seconds(self) -> int:
        """The length of one bin of its charts."""
        return {Period.DAY: 600, Period.WEEK: 3600}[self]
